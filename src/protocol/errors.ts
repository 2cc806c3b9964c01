/**
 * The errors of every room: a small closed set, each with a stable `code`, thrown where the fact is known and turned
 * into an answer in one place (`server/`) or a line on the screen in one place (`cli/`).
 *
 * A message is for the person who reads it: what was wrong, what is allowed, what to do. It may hold a secret's name
 * (only its owner reads it) and never a secret's value. A log line holds the code alone.
 */
export class PandaError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** A secret's name that breaks the rules of `names.ts`. */
export class InvalidName extends PandaError {
  constructor(reason: string) {
    super('ERR_INVALID_NAME', reason);
  }
}

/** A value that is not a string of Unicode scalar values, or too large. */
export class InvalidValue extends PandaError {
  constructor(reason: string) {
    super('ERR_INVALID_VALUE', reason);
  }
}

/** An argument of a call that is missing, mistyped or out of range; the message names the argument. */
export class InvalidArgument extends PandaError {
  constructor(reason: string) {
    super('ERR_INVALID_ARGUMENT', reason);
  }
}

/** The caller's share is used up. */
export class QuotaExceeded extends PandaError {
  constructor(reason: string) {
    super('ERR_QUOTA_EXCEEDED', reason);
  }
}

/** The thing that was asked for is not there, or not the caller's: the two are not told apart. */
export class NotFound extends PandaError {
  constructor(reason: string) {
    super('ERR_NOT_FOUND', reason);
  }
}

/** The server's disk is full: nothing was kept. */
export class NoSpace extends PandaError {
  constructor() {
    super('ERR_NO_SPACE', "the server's disk is full, and nothing was kept: tell its operator, who can make room");
  }
}

/** A name that must be unique is taken. */
export class AlreadyExists extends PandaError {
  constructor(reason: string) {
    super('ERR_ALREADY_EXISTS', reason);
  }
}

/** No token, or one that does not prove who is calling; the message says which of the two and why. */
export class Unauthenticated extends PandaError {
  constructor(reason: string) {
    super('ERR_UNAUTHENTICATED', reason);
  }
}

/** Too much was tried; the message says when to come back. */
export class TooManyTries extends PandaError {
  readonly retryAfterSeconds: number;

  constructor(reason: string, retryAfterSeconds: number) {
    super('ERR_TOO_MANY_TRIES', reason);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The caller is known and may not do this. */
export class Forbidden extends PandaError {
  constructor(reason: string) {
    super('ERR_FORBIDDEN', reason);
  }
}

/** The thing is in a state in which this cannot be done: a report from an attempt that lost its lease, say. */
export class Conflict extends PandaError {
  constructor(reason: string) {
    super('ERR_CONFLICT', reason);
  }
}

/** Plain http where a secure connection is needed. The wording is PanDA's; its clients look for it. */
export class InsecureTransport extends PandaError {
  constructor() {
    super('ERR_INSECURE_TRANSPORT', 'SSL secure connection is required');
  }
}

/** A ciphertext that does not open: changed, moved to another place, or sealed to another key. */
export class DecryptionFailed extends PandaError {
  constructor(reason: string) {
    super('ERR_DECRYPTION_FAILED', reason);
  }
}

/** A row of the database that this software did not write as it stands there. */
export class Tampered extends PandaError {
  /** @param table where it is @param key what finds it there: ids, never a name that only its owner may read */
  constructor(table: string, key: string) {
    super(
      'ERR_TAMPERED',
      `the server's database was changed by something else than panda-secrets (${table}, row ${key}): its operator has to look into it`,
    );
  }
}

/** A sandbox, log or output is not what was kept: something changed or cut it where it is. */
export class DamagedFile extends PandaError {
  /** @param sha256 of what was kept */
  constructor(sha256: string) {
    super(
      'ERR_DAMAGED_FILE',
      `the file ${sha256} was changed or cut where it is kept: the server's operator has to look into it, and can restore it from a backup`,
    );
  }
}

/** A stored or received format whose version byte this release does not know. */
export class UnknownFormat extends PandaError {
  constructor(reason: string) {
    super('ERR_UNKNOWN_FORMAT', reason);
  }
}

/** A data key is wrapped under a root key that this server was not given. */
export class MissingRootKey extends PandaError {
  constructor(rootKeyId: string) {
    super(
      'ERR_MISSING_ROOT_KEY',
      `root key "${rootKeyId}" is not configured on this server; add it back (it need not be the active one)`,
    );
  }
}

/** The software was started or configured in a way that it refuses. */
export class Misconfigured extends PandaError {
  constructor(reason: string) {
    super('ERR_MISCONFIGURED', reason);
  }
}

/** The other side cannot be reached or cannot answer now; the same call may work later. */
export class Unavailable extends PandaError {
  constructor(reason: string, options?: ErrorOptions) {
    super('ERR_UNAVAILABLE', reason, options);
  }
}

/** The other side answered that the request is wrong (HTTP 4xx): it will answer the same request so again. */
export class Declined extends Unavailable {}

/** The other side has no such call: a server of PanDA's, asked for an extension. */
export class UnknownCall extends Declined {}

/** The other side answered `success: false`; the message is its own. */
export class Refused extends PandaError {
  /** The `data` that came with the refusal. */
  readonly data: unknown;

  constructor(message: string, data: unknown) {
    super('ERR_REFUSED', message);
    this.data = data;
  }
}

/** An attempt at a job that cannot go on. The message is for the job's owner: no names or values of secrets. */
export class AttemptFailed extends PandaError {
  /** PanDA's number for it (`pilot/error-codes.ts`). */
  readonly pilotErrorCode: number;
  /** The end of its node came upon it: the attempt need not count. */
  readonly isGivenBack: boolean;

  constructor(pilotErrorCode: number, diagnosis: string, { isGivenBack = false } = {}) {
    super('ERR_ATTEMPT_FAILED', diagnosis);
    this.pilotErrorCode = pilotErrorCode;
    this.isGivenBack = isGivenBack;
  }
}

/** Codes of faults of the server or its configuration, which its operator should see. */
export const FAULTS: ReadonlySet<string> = new Set([
  'ERR_DECRYPTION_FAILED',
  'ERR_TAMPERED',
  'ERR_DAMAGED_FILE',
  'ERR_UNKNOWN_FORMAT',
  'ERR_MISSING_ROOT_KEY',
  'ERR_MISCONFIGURED',
  'ERR_UNAVAILABLE',
]);

/** Codes of refusals that are the server's own trouble, not the caller's. */
export const FAILURES: ReadonlySet<string> = new Set([...FAULTS, 'ERR_INTERNAL', 'ERR_NO_SPACE']);
