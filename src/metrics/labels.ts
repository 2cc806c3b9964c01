import { KEMS } from '../protocol/sealed.ts';

/**
 * The values that labels may have. No name of a user, a secret or a queue is among them: metrics are read by people who may know none of
 * these, and kept for long. What is not in its set is told as `other`, so that nothing that a caller sends makes a label.
 */
export const LABEL_VALUES = {
  /** Of an answer: `ok`, or the code of a refusal. */
  outcome: [
    'ok',
    ...['ERR_INVALID_NAME', 'ERR_INVALID_VALUE', 'ERR_INVALID_ARGUMENT', 'ERR_QUOTA_EXCEEDED', 'ERR_NOT_FOUND'],
    ...[
      'ERR_NO_SPACE',
      'ERR_ALREADY_EXISTS',
      'ERR_UNAUTHENTICATED',
      'ERR_TOO_MANY_TRIES',
      'ERR_FORBIDDEN',
      'ERR_CONFLICT',
    ],
    ...[
      'ERR_INSECURE_TRANSPORT',
      'ERR_DECRYPTION_FAILED',
      'ERR_TAMPERED',
      'ERR_DAMAGED_FILE',
      'ERR_UNKNOWN_FORMAT',
      'ERR_MISSING_ROOT_KEY',
    ],
    ...['ERR_MISCONFIGURED', 'ERR_UNAVAILABLE', 'ERR_REFUSED', 'ERR_ATTEMPT_FAILED', 'ERR_INTERNAL', 'ERR_CLIENT_GONE'],
    ...['ERR_UNKNOWN_CALL', 'ERR_WRONG_METHOD', 'ERR_BAD_HTTP', 'other'],
  ],
  /** `failed`: by the server's fault, or because something that it needs is away. */
  result: ['ok', 'refused', 'failed'],
  /** The KEM with which secrets were sealed for a pilot; `tls` is the line alone. */
  sealed_with: [...KEMS, 'tls', 'other'],
  /** Of an attempt, or of a login that was refused. */
  how: ['finished', 'failed', 'lost', 'guessing', 'disabled', 'used token', 'wrap', 'unwrap', 'other'],
  retried: ['yes', 'no'],
  /** Kinds of places of root keys. */
  place: ['file', 'credential', 'passphrase', 'transit+https', 'transit+http', 'pkcs11', 'other'],
  /** The root key that wraps what is new, or an older one. */
  key: ['active', 'older'],
  ok: ['yes', 'no'],
  /** Work that a server does by itself. */
  task: [
    ...['leases', 'pilots', 'data keys', 'expired secrets', 'logins', 'live logs', 'files', 'retention', 'root keys'],
    ...['disk reserve', 'other'],
  ],
} as const;

type Sets = typeof LABEL_VALUES;

/** The value of a label as it may be told. */
export function closed<L extends keyof Sets>(label: L, value: string): Sets[L][number] | 'other' {
  return (LABEL_VALUES[label] as readonly string[]).includes(value) ? (value as Sets[L][number]) : 'other';
}
