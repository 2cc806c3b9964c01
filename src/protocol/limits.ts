/**
 * Every limit and default that both ends share, with its unit in the name. A number has one home: this file.
 */

/** Largest value of a secret in bytes of UTF-8, as PanDA's client checks it: 1000 kB of 1024 bytes. */
export const MAX_VALUE_BYTES = 1000 * 1024;
/** Longest name of a secret in bytes of UTF-8, without the mark of a file. */
export const MAX_NAME_BYTES = 255;
/** How many secrets one owner may keep. */
export const MAX_SECRETS_PER_OWNER = 1000;
/** How many bytes of values (current versions) one owner may keep: a job carries them all. */
export const MAX_OWNER_BYTES = 32 * 1024 * 1024;
/** How many versions of one secret are kept, the current one included. */
export const KEPT_VERSIONS = 5;
/** Values that `list_secrets` shows are cut here unless the whole is asked for, as PanDA's pbook does. */
export const SHOWN_VALUE_CHARS = 50;

/** Sandbox size limits in bytes, those of PanDA's prun: without and with a build step. */
export const MAX_SANDBOX_BYTES = 10 * 1024 * 1024;
export const MAX_SOURCES_BYTES = 768 * 1024 * 1024;
/** Largest log or output file in bytes that a pilot may upload. */
export const MAX_UPLOAD_BYTES = 2 * 1024 * 1024 * 1024;

/** Task ids start here: PanDA's clients take smaller numbers for request ids. */
export const FIRST_TASK_ID = 10_000_000;
/** How many jobs one task may be split into. */
export const MAX_JOBS_PER_TASK = 10_000;
/** How many jobs one pilot may ask for at once. */
export const MAX_JOBS_PER_ACQUIRE = 100;
/** Attempts of a job unless the task says otherwise, and at most. */
export const DEFAULT_MAX_ATTEMPTS = 3;
export const MAX_MAX_ATTEMPTS = 50;

/** A pilot that is silent for this long has lost its job. */
export const LEASE_SECONDS = 180;
/** How often a pilot reports a running job. */
export const HEARTBEAT_SECONDS = 30;

/** How long a user's and a pilot's token of the embedded issuer live unless asked otherwise. */
export const USER_TOKEN_SECONDS = 12 * 3600;
export const PILOT_TOKEN_SECONDS = 7 * 24 * 3600;

/** Where the embedded server listens by default, and where the clients look for it. */
export const DEFAULT_PORT = 25080;
