import { PandaError } from './errors.ts';

/**
 * Reasons for which a sealed secret, a grant or a site's record is refused, by their codes. A pilot tells the server the code alone, so
 * each sentence is for the owner of the job: it names no secret.
 */
export const SEALED_REFUSALS = {
  'sealed-too-large': 'a sealed secret or the grant is larger than allowed',
  'grant-missing': 'its secrets are sealed, and it came without a grant',
  'plain-in-sealed-job': 'it has a grant, and something that is not sealed came with its secrets',
  'grant-format': 'its grant is malformed',
  'grant-forged': 'its grant is not signed by the key that it names',
  'grant-ended': 'its grant has ended: "pbook retry" signs again',
  'grant-other-site': 'its grant is for other sites',
  'grant-place': 'its grant has no such job or attempt',
  'grant-template': 'no job can be made from its grant',
  'job-changed': 'the server sent another job than its grant allows',
  'secret-missing': 'a secret that its grant names did not come',
  'secret-extra': 'a secret came that its grant does not name, or one came twice',
  'grant-replayed': 'the site has run it as often as its grant allows',
  'sandbox-missing': 'the sandbox did not come from the server',
  'sandbox-changed': 'the sandbox is not the one that was submitted',
  'secret-unreadable': 'a sealed secret does not open with this key',
  'secret-format': 'a sealed secret is malformed inside',
  'secret-foreign-signer': 'a sealed secret was sealed by somebody else',
  'secret-forged': 'the signature of a sealed secret is wrong',
  'secret-swapped': 'a sealed secret came under the name of another one',
  'secret-other-site': 'a sealed secret was not sealed for this site',
  'secret-old': 'a sealed secret is older than what was sealed later under its name',
  'secret-not-sealed': 'it was sealed, and the server has something else under its name',
  'secret-deleted': 'you deleted it on this device, and the server shows it again: delete it once more, or set it anew',
  'site-record-format': "the site's record is malformed",
  'site-record-forged': "the site's record is not signed by its identity",
  'site-record-ended': "the site's record has ended, or is not valid yet",
  'site-record-older': "the site's record is older than the one that is known",
  'site-record-forked':
    "there are two different records of the site with one number: it, or the server, can't be trusted",
  'site-record-other': "the record is another queue's",
  'site-key-changed': 'the queue shows the record of another site than the one that is trusted',
  'site-key-mismatch': "the site's record is not of this key",
  'result-format': 'the signature of a result is malformed',
  'result-forged': 'a result is not signed by a node of the site that was to run it',
  'result-other': 'a result is of another job, attempt, name or content than it was given for',
  'result-unsigned': 'its user signed for the task, and a result of it came unsigned',
  'result-untrusted': 'its site is not trusted on this device, so nothing tells if a result is genuine',
  'result-old': 'a result is of an earlier attempt than one that was seen on this device',
  'result-order': 'parts of a log are missing, repeated or not in their order',
  'result-missing': 'something that was to be brought back is not there',
  'result-unreadable': 'a result was sealed, and does not open with the key of this device',
} as const;

export type SealedRefusalCode = keyof typeof SEALED_REFUSALS;

/** The reason why a job ended, for its owner: a pilot tells the code alone. Any other reason stays as it is. */
export function explainedReason(reason: string): string {
  const sentence = Object.hasOwn(SEALED_REFUSALS, reason) ? SEALED_REFUSALS[reason as SealedRefusalCode] : undefined;
  return sentence === undefined ? reason : `${sentence} (${reason})`;
}

/** Something that was sealed or signed is not accepted; `code` says why, in one word for programs. */
export class SealedRefusal extends PandaError {
  declare readonly code: SealedRefusalCode;

  /** @param about put before the reason, for the owner alone: the name of a secret or queue */
  constructor(code: SealedRefusalCode, about?: string) {
    super(code, about === undefined ? SEALED_REFUSALS[code] : `${about}: ${SEALED_REFUSALS[code]}`);
  }
}
