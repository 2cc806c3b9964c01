import { userInfo } from 'node:os';
import { delimiter } from 'node:path';
import { ADDRESS_READERS } from '../masking/parts/addresses.ts';
import { decodedOnce } from '../masking/parts/encodings.ts';
import { tellsOf } from '../masking/parts/names.ts';
import { looksRandom } from '../masking/parts/randomness.ts';
import type { JobSecret } from '../payload/job-secrets.ts';
import { type LeftOut, secretVariables } from '../payload/secret-variables.ts';
import { MIN_MASKED_CHARS } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';

/** Variables of the node that a payload needs: places of programs and certificates, the language, the batch system's. */
const PASSED_ON =
  /^(PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|SHELL|LD_LIBRARY_PATH|X509_CERT_DIR|SSL_CERT_(FILE|DIR)|(https?|ftp|no|all)_proxy|(HTTPS?|ALL|NO)_PROXY|SLURM_[A-Z0-9_]+|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|OMP_[A-Z_]+)$/;
/** Variables that may hold a token or lead to one; never given to a payload, not even when the operator names them. */
const NEVER_PASSED_ON = /^(OIDC_|PANDA_|BEARER_TOKEN)/;
const DEFAULT_PATH = ['/usr/local/bin', '/usr/bin', '/bin'].join(delimiter);

export interface EnvironmentOptions {
  /** The pilot's own environment, of which only a known few variables and those of `passOn` go to the payload. */
  own: Readonly<Record<string, string | undefined>>;
  passOn: readonly string[];
  /** Of the payload's user; `undefined`: the pilot's. */
  userName?: string | undefined;
  /** Both inside the attempt's directory. */
  home: string;
  temporary: string;
  job: { id: number; taskId: number; attempt: number };
  /** Set as they are, whatever the node or the secrets say. */
  fixed: Readonly<Record<string, string>>;
  secrets: readonly JobSecret[];
  /** The bytes that the payload's arguments and environment may have together, see {@link argumentsRoom}. */
  room: number;
}

/**
 * The payload's environment. String secrets become variables (`secretVariables`) and win over what the node has
 * of the same name, so that a job finds the same everywhere.
 *
 * @returns the variables, and which of `secrets` are none
 */
export function payloadEnvironment(options: EnvironmentOptions): {
  environment: Record<string, string>;
  leftOut: LeftOut[];
} {
  const environment: Record<string, string> = { PATH: DEFAULT_PATH, ...passedOn(options) };
  const user = options.userName ?? ownName();
  const fixed: Record<string, string> = {
    ...(user === undefined ? {} : { USER: user, LOGNAME: user }),
    HOME: options.home,
    TMPDIR: options.temporary,
    PANDAID: String(options.job.id),
    PanDA_TaskID: String(options.job.taskId),
    PanDA_AttemptNr: String(options.job.attempt),
    ...options.fixed,
  };
  Object.assign(environment, fixed);

  const { secrets, room } = options;
  const { variables, leftOut } = secretVariables(secrets, { environment, fixed, room });
  return { environment: { ...environment, ...variables }, leftOut };
}

/** The values among what the node passes on that look like secrets, which a job's log is not to show: by name, by looks, in addresses. */
export function passedSecrets(options: Pick<EnvironmentOptions, 'own' | 'passOn'>): JobSecret[] {
  const secrets: JobSecret[] = [];
  for (const [name, value] of Object.entries(passedOn(options))) {
    const found = ADDRESS_READERS.flatMap((read) =>
      read(value, { name, tells: 'nothing', isSecret: false, decoded: decodedOnce(value) }),
    )
      .filter(({ tells }) => tells === 'secret')
      .map(({ text }) => text);
    if (tellsOf(name) === 'secret' || (options.passOn.includes(name) && looksRandom(value))) found.push(value);
    for (const text of found) {
      if (text.length >= MIN_MASKED_CHARS) secrets.push({ name: name as WireName, value: new Plaintext(text) });
    }
  }
  return secrets;
}

function passedOn({ own, passOn }: Pick<EnvironmentOptions, 'own' | 'passOn'>): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined || NEVER_PASSED_ON.test(name)) continue;
    if (PASSED_ON.test(name) || passOn.includes(name)) passed[name] = value;
  }
  return passed;
}

function ownName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
