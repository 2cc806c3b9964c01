import { InvalidArgument } from './errors.ts';
import { MAX_JOB_PARAMETERS_CHARS } from './limits.ts';

/** A task's jobs are made from this, which is all of its parameters that is stored. */
export interface JobTemplate {
  /** Where sandboxes are fetched from: an origin. */
  sourceUrl: string;
  /** SHA-256, hex, of the sandbox that the parameters name, where this server keeps it. Found at the submission. */
  sandboxSha256?: string;
  /** Their texts together, each with its placeholders replaced, are a job's parameters. */
  parameters: readonly ParameterPiece[];
  /** Templates of the outputs' file names. */
  outputs: readonly string[];
  /** Template of the log's file name. */
  log: string;
  /** 0 when there is no limit. */
  maxWalltimeSeconds: number;
  coreCount: number;
  /** MB of the whole job, 0 when none was asked for. */
  memory: number;
  /** MB that its working directory may take, 0 for no limit. */
  disk: number;
  processingType: string;
  prodSourceLabel: string;
}

/** The part of a template that a job's parameters and names are made from. */
export type SplitTemplate = Pick<JobTemplate, 'sourceUrl' | 'parameters' | 'outputs' | 'log'>;

export interface ParameterPiece {
  text: string;
  /** The value of `${SEQNUMBER}` in the first job. */
  firstNumber: number;
}

/** Which job of a task it is. */
export interface JobPlace {
  taskId: number;
  /** From 1. */
  serial: number;
}

/** The fields in which a job differs from the others of its task. */
export interface SplitJob {
  /** PanDA's `jobPars`. */
  parameters: string;
  outputs: string[];
  logName: string;
}

/**
 * Makes one job of a task: PanDA's placeholders `${SN}` and `${SN/P}` (the serial number with six digits), `${SEQNUMBER}`
 * (counts on from the piece's first number), `${SURL}` and `$JEDITASKID` are replaced, in one pass, so that what is put in is
 * never looked through again. It ends where the parameters become too long: a short placeholder may stand for a long text, many times.
 *
 * @throws {InvalidArgument} when the parameters have more than `MAX_JOB_PARAMETERS_CHARS`
 */
export function splitJob(template: SplitTemplate, place: JobPlace): SplitJob {
  const parts: string[] = [];
  let room = MAX_JOB_PARAMETERS_CHARS;
  const add = (part: string) => {
    room -= part.length;
    if (room < 0) {
      throw new InvalidArgument(
        `jobParameters: at most ${MAX_JOB_PARAMETERS_CHARS} characters are allowed for one job`,
      );
    }
    parts.push(part);
  };
  for (const { text, firstNumber } of template.parameters) expand(text, { template, place, firstNumber }, add);

  const name = (text: string) => {
    const found: string[] = [];
    expand(text, { template, place, firstNumber: 1 }, (part) => found.push(part));
    return found.join('');
  };
  return { parameters: parts.join('').trimEnd(), outputs: template.outputs.map(name), logName: name(template.log) };
}

const PLACEHOLDER = /\$\{(SN|SN\/P|SEQNUMBER|SURL)\}|\$JEDITASKID/g;

/** Hands a text over part by part, each placeholder replaced. */
function expand(
  text: string,
  { template, place, firstNumber }: { template: SplitTemplate; place: JobPlace; firstNumber: number },
  add: (part: string) => void,
): void {
  let from = 0;
  for (const { index, 0: placeholder, 1: name } of text.matchAll(PLACEHOLDER)) {
    if (index > from) add(text.slice(from, index));
    from = index + placeholder.length;
    if (name === undefined) add(String(place.taskId));
    else if (name === 'SEQNUMBER') add(String(firstNumber + place.serial - 1));
    else if (name === 'SURL') add(template.sourceUrl);
    else add(String(place.serial).padStart(6, '0'));
  }
  if (from < text.length) add(text.slice(from));
}
