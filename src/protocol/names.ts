import { InvalidName } from './errors.ts';
import { MAX_NAME_BYTES } from './limits.ts';
import { utf8Length } from './text.ts';

/** A secret is a string, or a file whose bytes travel as base64. */
export type SecretKind = 'string' | 'file';

/**
 * A secret's name as it stands on the wire: a file's carries `___file___:` in front (PanDA's client strips
 * `___[a-z]+___:` when it lists). The name without the mark identifies a secret: `X` and `___file___:X` are one, as a string and
 * as a file.
 */
export type WireName = string & { readonly __brand: 'WireName' };

const FILE_MARK = '___file___:';
const ANY_MARK = /^___[a-z]+___:/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * The wire name for a name as a user types it.
 *
 * @throws {InvalidName} when it is empty, longer than `MAX_NAME_BYTES` of UTF-8, not well-formed Unicode, or contains a
 * control character or `=`
 */
export function wireName(name: string, kind: SecretKind = 'string'): WireName {
  return parseWireName(kind === 'file' ? FILE_MARK + name : name);
}

/** Checks a name that came over the wire. @throws {InvalidName} as {@link wireName} */
export function parseWireName(text: string): WireName {
  const name = text.startsWith(FILE_MARK) ? text.slice(FILE_MARK.length) : text;
  if (name === '') throw new InvalidName('a secret name may not be empty');
  if (!name.isWellFormed()) throw new InvalidName('a secret name must be valid Unicode; this one has a lone surrogate');
  if (CONTROL.test(name)) throw new InvalidName('a secret name may not contain control characters or line ends');
  if (name.includes('=')) throw new InvalidName('a secret name may not contain "="');
  const mark = ANY_MARK.exec(name)?.[0];
  if (mark) throw new InvalidName(`a secret name may not start with "${mark}": that form marks files on the wire`);
  const bytes = utf8Length(name);
  if (bytes > MAX_NAME_BYTES)
    throw new InvalidName(`a secret name may have at most ${MAX_NAME_BYTES} bytes; this one has ${bytes}`);
  return text as WireName;
}

/** The name as its owner knows it, and what the secret holds. */
export function splitWireName(wire: WireName): { name: string; kind: SecretKind } {
  return wire.startsWith(FILE_MARK)
    ? { name: wire.slice(FILE_MARK.length), kind: 'file' }
    : { name: wire, kind: 'string' };
}

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables that a job's loader, shell, interpreter, pilot or batch system sets or acts on: a secret of that name would break the job. */
const JOB_BREAKING =
  /^(PATH|HOME|PWD|OLDPWD|SHELL|USER|LOGNAME|TMPDIR|TMP|TEMP|IFS|ENV|BASH(_.*|OPTS|PID)?|SHELLOPTS|SHLVL|PS[124]|PPID|OPTIND|LINENO|RANDOM|SECONDS|PROMPT_COMMAND|TERM|TZ|LANG|LC_.*|LD_.*|DYLD_.*|PYTHON(PATH|HOME|STARTUP)|NODE_OPTIONS|PERL5?(LIB|OPT)|RUBY(LIB|OPT)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|TAR_OPTIONS|SLURM_.*|PANDA_.*|PANDAID|PanDA_.*|_)$/;

/** Tells whether a string secret of this name also becomes an environment variable of the job. The JSON file always has it. */
export function isEnvironmentName(name: string): boolean {
  return ENVIRONMENT_NAME.test(name) && !JOB_BREAKING.test(name);
}

/** The file in a job's working directory that holds all its secrets: a JSON object wire name -> value. */
export const SECRETS_FILE = 'panda_secrets.json';
/** The directory beside it that the files themselves are in. */
export const SECRETS_DIRECTORY = '.panda_secrets';
const TAKEN_FILE_NAMES: ReadonlySet<string> = new Set(['.', '..', SECRETS_FILE, SECRETS_DIRECTORY]);

/** Tells if a file secret of this name becomes a file of the job: it stays in its directory and is not the pilot's own. */
export function isFileName(name: string): boolean {
  return !/[/\\\0]/.test(name) && !TAKEN_FILE_NAMES.has(name);
}
