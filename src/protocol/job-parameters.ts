// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import { InvalidArgument } from './errors.ts';
import { checkFileName } from './file-name.ts';
import { type LeakedOutputs, parseLeakedOutputs } from './leaked-outputs.ts';
import { MAX_JOB_PARAMETERS_CHARS } from './limits.ts';
import { quote, readNameMap, unquote, writeNameMap } from './python-text.ts';
import { parseSecretForms, SECRET_FORMS, type SecretForm } from './secret-forms.ts';
import { shellWord, splitWords } from './shell-words.ts';

/** A job's payload, as its `jobPars` say it: the options of PanDA's own wrapper script for `prun`. */
export interface JobParameters {
  /** Where the sandbox is downloaded from (`--sourceURL`): an origin, `https://HOST:PORT`. */
  sourceUrl: string | undefined;
  /** The archive to unpack (`-a`). */
  sandbox: string | undefined;
  /** The directory to run in (`-r`), relative to where the sandbox is unpacked; `.` when it is that. */
  runDirectory: string;
  /** The command's name of an output -> the name under which it is brought back (`-o`). */
  outputs: Readonly<Record<string, string>>;
  /** The ways in which the job finds its secrets (`--secretsAs`, our extension); every way unless it says so. */
  secretForms: readonly SecretForm[];
  /** The treatment of outputs that hold secrets (`--leakedOutputs`, our extension). */
  leakedOutputs: LeakedOutputs;
  /** The command line for the shell (`-p`). */
  command: string;
}

/** One element of a task's `jobParameters`, as PanDA's clients send them. Elements are joined with a space unless `padding` is false. */
export interface TaskParameter {
  type: 'constant' | 'template';
  value: string;
  param_type?: 'output' | 'pseudo_input' | 'number' | 'log' | 'input';
  dataset?: string;
  container?: string;
  /** The number that `${SEQNUMBER}` is in the first job. */
  offset?: number;
  padding?: boolean;
  hidden?: boolean;
}

const READERS: Record<string, (parameters: JobParameters, value: string) => void> = {
  '-j': () => {}, // a wrapper script to run instead; prun always leaves it empty
  '--sourceURL': (parameters, value) => {
    parameters.sourceUrl = value;
  },
  '-r': (parameters, value) => {
    parameters.runDirectory = value === '' ? '.' : value;
  },
  '-a': (parameters, value) => {
    checkFileName(value, 'jobParameters -a');
    parameters.sandbox = value;
  },
  '-o': (parameters, value) => {
    parameters.outputs = readNameMap(value);
  },
  '--secretsAs': (parameters, value) => {
    parameters.secretForms = parseSecretForms(value.split(','), 'jobParameters --secretsAs');
  },
  '--leakedOutputs': (parameters, value) => {
    parameters.leakedOutputs = parseLeakedOutputs(value, 'jobParameters --leakedOutputs');
  },
  '-p': (parameters, value) => {
    parameters.command = unquote(value);
  },
};

/**
 * Reads a job's `jobPars`.
 *
 * @throws {InvalidArgument} naming an option that is unknown here, or saying what is wrong or missing
 */
export function parseJobParameters(jobPars: string): JobParameters {
  const parameters: JobParameters = {
    sourceUrl: undefined,
    sandbox: undefined,
    runDirectory: '.',
    outputs: {},
    secretForms: SECRET_FORMS,
    leakedOutputs: 'warn',
    command: '',
  };
  if (jobPars.length > MAX_JOB_PARAMETERS_CHARS) {
    throw new InvalidArgument(`jobParameters: at most ${MAX_JOB_PARAMETERS_CHARS} characters are allowed for one job`);
  }
  const words = splitWords(jobPars).values();
  for (const word of words) {
    const [, option = word, attached] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
    const read = Object.hasOwn(READERS, option) ? READERS[option] : undefined;
    if (!read) throw new InvalidArgument(`jobParameters: "${option}" is not offered here`);
    const value = attached ?? words.next().value;
    if (value === undefined) throw new InvalidArgument(`jobParameters: ${option} needs a value`);
    read(parameters, value);
  }
  if (parameters.command.trim() === '') throw new InvalidArgument('jobParameters: -p with the command is missing');
  return parameters;
}

/** {@link buildJobParameters} makes a task's `jobParameters` of this. */
export interface Payload {
  /** The archive's file name on the server. */
  sandbox: string;
  /** Relative to where the sandbox is unpacked. */
  runDirectory: string;
  /**
   * `name`: what the command calls it. `lfn`: the template of what it is called when it is brought back, for example
   * `user.NAME.$JEDITASKID._${SN/P}.out.txt`. `dataset`: PanDA's name for all of them, `OUTDS_out.txt/`.
   */
  outputs: readonly { name: string; lfn: string; dataset: string }[];
  /** For the shell; `%RNDM:N` in it counts from N over the jobs. */
  command: string;
}

// Inside double quotes and a Python dictionary, none of these would arrive as it is. The list is that of PanDA's prun.
const NOT_IN_AN_OUTPUT = /[%|;><?'"()$@:=&^#\\[\]{}`\s]/;
const SEQUENCE = /%RNDM[:=](\d+)%?/;

/**
 * The `jobParameters` of a task, element by element as PanDA's `prun --noBuild` sends them.
 *
 * @throws {InvalidArgument} when an output's name has a character that cannot be sent, or the command a lone surrogate
 */
export function buildJobParameters({ sandbox, runDirectory, outputs, command }: Payload): TaskParameter[] {
  if (!command.isWellFormed()) throw new InvalidArgument('the command has a lone surrogate, which no file can carry');
  for (const { name, lfn } of outputs) for (const text of [name, lfn]) checkOutputName(text);
  const constant = (value: string): TaskParameter => ({ type: 'constant', value });
  const joined = (parameter: TaskParameter): TaskParameter => ({ ...parameter, padding: false });

  const parameters = [
    constant('-j "" --sourceURL ${SURL}'),
    constant(`-r ${shellWord(withoutPlaceholder(runDirectory))}`),
    { ...constant('__delimiter__'), hidden: true },
    constant(`-a ${sandbox}`),
  ];
  for (const { lfn, dataset } of outputs) {
    parameters.push({
      type: 'template',
      param_type: 'output',
      hidden: true,
      value: lfn,
      dataset,
      container: dataset,
    });
  }
  if (outputs.length > 0) {
    parameters.push(constant(`-o "${writeNameMap(outputs.map(({ name, lfn }) => [name, lfn]))}"`));
  }
  parameters.push(joined(constant('-p "')));
  // Splitting on a pattern with one group leaves the numbers at the odd places.
  for (const [place, part] of command.split(SEQUENCE).entries()) {
    if (place % 2 === 1) parameters.push(sequenceNumber(Number(part)));
    else if (part !== '') parameters.push(joined(constant(quote(part))));
  }
  parameters.push(constant('"'));
  return parameters;
}

/** The name of an output, or its template. */
function checkOutputName(text: string): void {
  const name = text.replace(/\$\{SN(\/P)?\}|\$JEDITASKID/g, '1');
  checkFileName(name, 'outputs');
  const found = NOT_IN_AN_OUTPUT.exec(name)?.[0];
  if (found) throw new InvalidArgument(`outputs: "${text}" has ${JSON.stringify(found)}, which may not be in a name`);
}

function sequenceNumber(offset: number): TaskParameter {
  return {
    type: 'template',
    value: '${SEQNUMBER}',
    param_type: 'pseudo_input',
    dataset: 'seq_number',
    offset,
    padding: false,
  };
}

/** @throws {InvalidArgument} for one that PanDA would put something else into */
function withoutPlaceholder(runDirectory: string): string {
  if (!/\$\{|\$JEDITASKID/.test(runDirectory)) return runDirectory;
  throw new InvalidArgument(`the run directory "${runDirectory}" has a PanDA placeholder`);
}
