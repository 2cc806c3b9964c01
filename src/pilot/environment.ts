import { userInfo } from 'node:os';
import { delimiter } from 'node:path';
import { MAX_SECRET_VARIABLES_BYTES, MAX_VARIABLE_BYTES } from '../protocol/limits.ts';
import { isEnvironmentName, splitWireName } from '../protocol/names.ts';
import { utf8Length } from '../protocol/text.ts';
import type { JobSecret } from './job-secrets.ts';

/** What a payload needs of the node's environment: where programs and certificates are, the language, what the batch system gave. */
const PASSED_ON =
  /^(PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|SHELL|LD_LIBRARY_PATH|X509_CERT_DIR|SSL_CERT_(FILE|DIR)|(https?|ftp|no|all)_proxy|(HTTPS?|NO)_PROXY|SLURM_[A-Z0-9_]+|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|OMP_[A-Z_]+)$/;
/** What may hold a token or lead to one; never given to a payload, not even when the operator names it. */
const NEVER_PASSED_ON = /^(OIDC_|PANDA_|BEARER_TOKEN)/;
const DEFAULT_PATH = ['/usr/local/bin', '/usr/bin', '/bin'].join(delimiter);

export interface EnvironmentOptions {
  /** The pilot's own environment, of which only a known few variables and those of `passOn` go to the payload. */
  own: Readonly<Record<string, string | undefined>>;
  passOn: readonly string[];
  /** Both inside the attempt's directory. */
  home: string;
  temporary: string;
  job: { id: number; taskId: number; attempt: number };
  secrets: readonly JobSecret[];
}

/**
 * The payload's environment. String secrets become variables as they are, no shell sees them; a name must be one that a
 * shell can use and that would not break the job (`isEnvironmentName`).
 *
 * @returns the variables, and how many secrets with a good name have a value that no variable can hold: one with a NUL, or
 * too large (Linux: 128 KiB each, and all of them share the space of the arguments)
 */
export function payloadEnvironment(options: EnvironmentOptions): {
  environment: Record<string, string>;
  leftOut: number;
} {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.own)) {
    if (value === undefined || NEVER_PASSED_ON.test(name)) continue;
    if (PASSED_ON.test(name) || options.passOn.includes(name)) environment[name] = value;
  }
  environment['PATH'] ??= DEFAULT_PATH;
  const user = userName();
  Object.assign(environment, {
    ...(user === undefined ? {} : { USER: user, LOGNAME: user }),
    HOME: options.home,
    TMPDIR: options.temporary,
    PANDAID: String(options.job.id),
    PanDA_TaskID: String(options.job.taskId),
    PanDA_AttemptNr: String(options.job.attempt),
  });

  let room = MAX_SECRET_VARIABLES_BYTES;
  let leftOut = 0;
  for (const { name: wireName, value } of options.secrets) {
    const { name, kind } = splitWireName(wireName);
    if (kind !== 'string' || !isEnvironmentName(name) || Object.hasOwn(environment, name)) continue;
    const text = value.reveal();
    const bytes = name.length + utf8Length(text) + 2;
    if (text.includes('\0') || bytes > MAX_VARIABLE_BYTES || bytes > room) {
      leftOut += 1;
      continue;
    }
    room -= bytes;
    environment[name] = text;
  }
  return { environment, leftOut };
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
