import { InvalidArgument } from '../protocol/errors.ts';
import { GRANT_SECONDS, MAX_GRANT_SECONDS } from '../protocol/limits.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { parseSecretForms, SECRET_FORMS } from '../protocol/secret-forms.ts';
import { parseJobCount, parseMaxAttempts, parseTemplate } from '../protocol/task-template.ts';
import { grantedJob } from './admission.ts';
import { type GrantContent, makeGrant, readGrant } from './grant.ts';
import type { OwnKeys } from './own-keys.ts';
import type { SiteId } from './site-id.ts';

/** A task that its user signs for. */
export interface TaskToGrant {
  /** Its number, as the server gave it. */
  task: number;
  /** PanDA's `task_parameters`, as this client made and sent them: not as a server tells them. */
  parameters: Record<string, unknown>;
  /** Hex, of the sandbox that this client packed; null for a task without one. */
  sandboxSha256: string | null;
  /** The names that it asks for, sealed all of them. */
  names: readonly WireName[];
  /** The sites that it may run at. */
  sites: readonly SiteId[];
  /** Seals its results to the user. */
  sealResults?: boolean;
  /** Seconds for which it is valid; `GRANT_SECONDS` when left out. */
  seconds?: number;
}

/**
 * Signs the permission for a task. What it says of the jobs is made of the parameters as the server makes it; that jobs can be
 * admitted with it is checked here.
 *
 * @param now seconds since 1970 @param randomness 16 random bytes
 * @throws {InvalidArgument} when it cannot be made, with the reason @throws {SealedRefusal} when no node could admit its jobs
 */
export async function grantFor(
  own: Pick<OwnKeys, 'keys' | 'marks'>,
  given: TaskToGrant,
  now: number,
  randomness: Uint8Array,
): Promise<string> {
  const { parameters, sites, sealResults = false, seconds = GRANT_SECONDS } = given;
  if (sites.length === 0)
    throw new InvalidArgument('no site that you trust may run it: pbook keys trust QUEUE=SITE-ID');
  if (seconds < 1 || seconds > MAX_GRANT_SECONDS) {
    throw new InvalidArgument(`a grant lasts at most ${MAX_GRANT_SECONDS / 86_400} days`);
  }
  const {
    parameters: pieces,
    outputs,
    log,
    sourceUrl,
    maxWalltimeSeconds,
    coreCount,
    memory,
    disk,
  } = parseTemplate(parameters);
  const asked = parameters['secretsAs'];
  const secretForms = asked === undefined ? [...SECRET_FORMS] : parseSecretForms(asked as string[], 'secretsAs');
  const marks = await own.marks.list();
  const content: GrantContent = {
    task: given.task,
    template: {
      parameters: pieces.map(({ text, firstNumber }) => ({ text, firstNumber })),
      outputs: [...outputs],
      log,
      sourceUrl,
      sandboxSha256: given.sandboxSha256,
      secretForms,
      maxWalltimeSeconds,
      coreCount,
      memory,
      disk,
    },
    jobs: parseJobCount(parameters),
    attempts: parseMaxAttempts(parameters),
    sites: [...sites],
    secrets: given.names.map((name) => ({ name, atLeast: markOf(name) })),
    results: sealResults ? own.keys.results.recipient : null,
    end: Math.floor(now + seconds),
  };
  const word = makeGrant(own.keys.signer, content, randomness);
  const grant = readGrant(word);
  for (const serial of new Set([1, grant.jobs])) grantedJob(grant, serial);
  return word;

  function markOf(name: WireName): number {
    const mark = marks.find((one) => one.name === name && !one.deleted);
    if (mark) return mark.taken;
    throw new InvalidArgument(`${splitWireName(name).name} was not sealed, or not seen, on this device`);
  }
}

/**
 * Signs again for a task whose grant ended, or that is to run elsewhere: only the nonce, the end and the sites are new.
 *
 * @param word the grant before, as a server tells it
 * @throws {SealedRefusal} when it is no grant of the user's @throws {InvalidArgument} when it is another task's
 */
export function grantAgain(
  { keys: { signer, results } }: Pick<OwnKeys, 'keys'>,
  word: string,
  { task, sites, seconds = GRANT_SECONDS }: Pick<TaskToGrant, 'task' | 'sites' | 'seconds'>,
  now: number,
  randomness: Uint8Array,
): string {
  const { signer: by, nonce: _nonce, ...before } = readGrant(word);
  if (by !== signer.publicKey)
    throw new InvalidArgument(`the grant that the server shows for task ${task} is not yours`);
  if (before.task !== task)
    throw new InvalidArgument(`the grant that the server shows is for task ${before.task}, not ${task}`);
  if (before.results !== null && before.results !== results.recipient)
    throw new InvalidArgument(`the results of task ${task} would be sealed to somebody else`);
  return makeGrant(signer, { ...before, sites: [...sites], end: Math.floor(now + seconds) }, randomness);
}
