import { InvalidArgument } from '../protocol/errors.ts';
import { MAX_ASKED_JOBS } from '../protocol/limits.ts';

/**
 * The calls of PanDA before its v1 API, `/server/panda/CALL`, which the current release of its Python pilot speaks. They have no
 * envelope: an answer is an object with `StatusCode` beside what was asked for. Arguments come as JSON, or as a form when the
 * pilot falls back on curl, where everything is text.
 */

/** PanDA's numbers for how a call ended. */
export const STATUS = {
  succeeded: 0,
  noJobs: 20,
  failed: 30,
  insecure: 40,
  invalid: 50,
  /** Not a pilot, or not one that may do this. */
  role: 60,
} as const;

/** The arguments of a call, as they arrived. */
export type OlderArguments = Readonly<Record<string, unknown>>;

/** The request of `getJob`. */
export interface OlderJobRequest {
  queue: string;
  node: string;
  taskId: number | undefined;
}

/** @throws {InvalidArgument} naming the argument */
export function readJobRequest(args: OlderArguments): OlderJobRequest {
  return {
    queue: required(text(args, 'siteName'), 'siteName'),
    node: text(args, 'node') ?? '',
    taskId: whole(args, 'taskID'),
  };
}

/** The report of `updateJob`. */
export interface OlderJobReport {
  jobId: number;
  attempt: number;
  state: string;
  node: string | undefined;
  exitCode: number | undefined;
  errorCode: number | undefined;
  diagnosis: string | undefined;
  /** Where the pilot put the outputs and the log; told with the final report. */
  files: readonly PlacedFile[];
}

/** A file that a pilot put where its site wants it. */
export interface PlacedFile {
  name: string;
  kind: 'log' | 'output';
  /** Bytes. */
  size: number;
  /** A URL, or a path that the site knows. */
  location: string;
}

/** @throws {InvalidArgument} naming the argument */
export function readJobReport(args: OlderArguments): OlderJobReport {
  return {
    jobId: required(whole(args, 'jobId'), 'jobId'),
    attempt: required(whole(args, 'attemptNr'), 'attemptNr'),
    state: required(text(args, 'state'), 'state'),
    node: text(args, 'node'),
    exitCode: whole(args, 'transExitCode'),
    errorCode: whole(args, 'pilotErrorCode') || whole(args, 'exeErrorCode') || undefined,
    diagnosis: diagnosis(text(args, 'pilotErrorDiag') ?? text(args, 'exeErrorDiag'), whole(args, 'transExitCode')),
    files: placedFiles(text(args, 'xml') ?? ''),
  };
}

/** The pilot reads causes of its own into an exit status ("Remote file open timed out" for 3), so the status is told as well. */
function diagnosis(said: string | undefined, exitCode: number | undefined): string | undefined {
  return said !== undefined && exitCode ? `${said} (exit status ${exitCode})` : said;
}

/** @throws {InvalidArgument} when `name` is missing, one is no number, or there are more than `MAX_ASKED_JOBS` */
export function readJobIds(args: OlderArguments, name: string): number[] {
  const ids = required(text(args, name), name)
    .split(',', MAX_ASKED_JOBS + 1)
    .map(Number);
  if (ids.length > MAX_ASKED_JOBS) throw new InvalidArgument(`'${name}' may be ${MAX_ASKED_JOBS} job ids at most`);
  if (ids.every((id) => Number.isSafeInteger(id) && id > 0)) return ids;
  throw new InvalidArgument(`'${name}' must be job ids with commas between them`);
}

const MAX_LOCATION_CHARS = 4096;

/**
 * `xml` is JSON text in spite of its name: file name -> `{surl, fsize, ...}`. What is not of this form is passed over: a report
 * counts whatever is wrong with the list of its files.
 */
function placedFiles(json: string): PlacedFile[] {
  return Object.entries(objectIn(json)).flatMap(([name, described]) => {
    const { surl, fsize } = Object(described) as Record<string, unknown>;
    if (typeof surl !== 'string' || surl === '' || surl.length > MAX_LOCATION_CHARS) return [];
    const size = Number(fsize);
    return [
      {
        name,
        kind: /\.log\.tgz(\.\d+)?$/.test(name) ? 'log' : 'output',
        size: Number.isSafeInteger(size) && size >= 0 ? size : 0,
        location: surl.replace(/\p{Cc}/gu, ' ').toWellFormed(),
      },
    ];
  });
}

function objectIn(json: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(json)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** `None` and `NULL` are Python's and PanDA's words for nothing. */
function text(args: OlderArguments, name: string): string | undefined {
  const value = Object.hasOwn(args, name) ? args[name] : undefined;
  if (value === undefined || value === null || value === '' || value === 'None' || value === 'NULL') return undefined;
  if (typeof value === 'object') throw new InvalidArgument(`'${name}' must be text or a number`);
  return String(value);
}

function whole(args: OlderArguments, name: string): number | undefined {
  const value = text(args, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new InvalidArgument(`'${name}' must be a whole number`);
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new InvalidArgument(`missing a required argument: '${name}'`);
  return value;
}
