/**
 * Every limit and default that both ends share, with its unit in the name. A number has one home: this file.
 */

/** A day, for clocks in milliseconds. */
export const DAY_MILLISECONDS = 24 * 3600_000;

/** Largest value of a secret in bytes of UTF-8, as PanDA's client checks it: 1000 kB of 1024 bytes. */
export const MAX_VALUE_BYTES = 1000 * 1024;
/** Its owner is warned so long before a secret expires. */
export const EXPIRY_WARNING_SECONDS = 7 * 24 * 3600;
/** The time between two looks for secrets that have expired, and how many of them one look ends, and removes, at most. */
export const EXPIRY_CHECK_SECONDS = 60;
export const MAX_EXPIRED_AT_ONCE = 500;
/** An expired secret is kept so long, for its owner to see and to give a new value. */
export const EXPIRED_SECRETS_DAYS = 30;
/** A secret's last use is noted again after this time: a job that gets it costs no further write until then. */
export const USE_NOTED_SECONDS = 3600;
/** Secrets whose last use one server remembers. */
export const MAX_REMEMBERED_USES = 100_000;
/** Longest name of a secret in bytes of UTF-8, without the mark of a file. */
export const MAX_NAME_BYTES = 255;
/** Secrets that one owner may keep. */
export const MAX_SECRETS_PER_OWNER = 1000;
/** Bytes of values (current versions) that one owner may keep: a job carries them all. */
export const MAX_OWNER_BYTES = 32 * 1024 * 1024;
/** Versions of one secret that are kept, the current one included. */
export const KEPT_VERSIONS = 5;
/** The time that a server remembers an unwrapped data key, and the number of them. */
export const DATA_KEY_SECONDS = 300;
export const MAX_REMEMBERED_DATA_KEYS = 4_000;
/** Bytes of ciphertext that a server remembers, unless it is told otherwise. */
export const CIPHERTEXT_CACHE_BYTES = 64 * 1024 * 1024;
/** Sealed texts of one owner that a server remembers: the shown secrets, and what jobs get. */
export const MAX_REMEMBERED_TEXTS_PER_OWNER = 8;
/** Deliveries that a history shows unless asked otherwise, and at most. */
export const DEFAULT_DELIVERIES_SHOWN = 100;
export const MAX_DELIVERIES_SHOWN = 1000;
/** Notices of queues that became weaker or strong again, of one owner. */
export const MAX_QUEUE_NOTICES_SHOWN = 20;
/** Values that `list_secrets` shows are cut here unless the whole is asked for, as PanDA's pbook does. */
export const SHOWN_VALUE_CHARS = 50;

/** Shorter values, lines and strings, in characters, are not masked in a log: it would not stay readable. */
export const MIN_MASKED_CHARS = 6;
/**
 * The most bytes of a job's secrets and their encodings with which the log masker looks for every encoding: enough for
 * a megabyte of secrets, at 14 bytes of memory for each that a text leads to. Beyond it, values are masked as they are.
 */
export const MAX_MASKED_FORMS_BYTES = 24 * 1024 * 1024;

/**
 * The rarest forms, such as base64 of base64, take many times the size of what they are of. They are looked for of parts of
 * secrets that are no longer than this, and as long as they come to no more than this all together.
 */
export const MAX_RARE_FORM_BYTES = 256;
export const MAX_RARE_FORMS_BYTES = 1024 * 1024;

/**
 * Limits for taking a value apart into the parts of it that are secret: the parts, the encodings inside encodings, the characters in all;
 * and the largest text, in characters, that a parser of YAML, TOML, XML and the like is given, which takes a millisecond for each ten kB.
 */
export const MAX_PARTS_OF_SECRET = 20_000;
export const MAX_PARTS_DEPTH = 8;
export const MAX_READ_PARTS_CHARS = 16 * 1024 * 1024;
export const MAX_PARSED_PART_CHARS = 64 * 1024;

/** Sandbox size limits in bytes, those of PanDA's prun: without and with a build step. */
export const MAX_SANDBOX_BYTES = 10 * 1024 * 1024;
export const MAX_SOURCES_BYTES = 768 * 1024 * 1024;
/** Bytes of sandboxes, logs and outputs that one owner may bring within a time, unless the server is told otherwise; sandboxes at once to one server. */
export const MAX_OWNER_FILE_BYTES = 256 * 1024 * 1024 * 1024;
export const OWNER_FILES_DAYS = 30;
export const MAX_SANDBOXES_AT_ONCE = 4;
/** Largest log or output file in bytes that a pilot may upload. */
export const MAX_UPLOAD_BYTES = 2 * 1024 * 1024 * 1024;

/** Task ids start here: PanDA's clients take smaller numbers for request ids. */
export const FIRST_TASK_ID = 10_000_000;
/** Longest name of a task in characters, with the `/` at its end. */
export const MAX_TASK_NAME_CHARS = 200;
/** The most that a task may ask for each of its jobs: hours to run, MB of memory and of disk (what is more is a mistake in the unit). */
export const MAX_WALLTIME_HOURS = 24 * 365;
export const MAX_ASKED_MEGABYTES = 2 ** 30;
/** Longest `jobParameters` of a task and of one job in characters: a command of a megabyte, each byte of it encoded. */
export const MAX_JOB_PARAMETERS_CHARS = 4 * 1024 * 1024;
/** Longest address, in characters, that a task names for its sandbox. */
export const MAX_SOURCE_URL_CHARS = 1024;
/** Jobs that one task may be split into. */
export const MAX_JOBS_PER_TASK = 10_000;
/** Jobs that one owner's tasks that have not ended may have together, unless the server is told otherwise. */
export const MAX_OPEN_JOBS_PER_OWNER = 100_000;
/** Outputs that each job of a task may bring back: every job's description names them several times. */
export const MAX_OUTPUTS_PER_JOB = 1000;
/** Jobs whose secrets could not be delivered that one request of a pilot passes over. */
export const MAX_UNDELIVERABLE_PER_REQUEST = 10;
/** Jobs that one call may ask about. */
export const MAX_ASKED_JOBS = 1000;
/** Jobs that one pilot may ask for at once. */
export const MAX_JOBS_PER_ACQUIRE = 100;
/** Characters of parameters and secrets in one answer to a pilot, after which it gets no further job: a single one may have more. */
export const MAX_ACQUIRED_CHARS = 64 * 1024 * 1024;
/** Attempts of a job unless the task says otherwise, and at most. */
export const DEFAULT_MAX_ATTEMPTS = 3;
export const MAX_MAX_ATTEMPTS = 50;

/**
 * A pilot that is silent for this long has lost its job: long enough that a server, or the network, may be away for ten minutes
 * and the pilot's last try before that and first one after it (`MAX_BACKOFF_SECONDS`) may be a minute off.
 */
export const LEASE_SECONDS = 720;
/** The time between two looks for leases that have ended; less where leases are short. */
export const LEASES_CHECK_SECONDS = 10;
/** The longest wait before housekeeping that failed is tried again. */
export const MAX_HOUSEKEEPING_BACKOFF_SECONDS = 300;
/** The same for pilots of PanDA's, which report every half an hour: what they themselves take for a lost heartbeat. */
export const PANDA_PILOT_LEASE_SECONDS = 3 * 3600;
/** Connections of one server to its PostgreSQL, and the time that it waits for it when it starts, unless set. */
export const DATABASE_CONNECTIONS = 10;
export const DATABASE_WAIT_SECONDS = 60;
/** A request waits so long for a PostgreSQL that is away before it is told so: an ordinary restart takes less. */
export const DATABASE_RETRY_SECONDS = 3;
/** The longest that PostgreSQL may take to open a connection, for a lock, for a statement, and that a transaction may do nothing. */
export const DATABASE_CONNECT_SECONDS = 10;
export const DATABASE_LOCK_SECONDS = 10;
export const DATABASE_STATEMENT_SECONDS = 30;
export const DATABASE_IDLE_TRANSACTION_SECONDS = 60;
/** A migration waits so long for a table at a time, and tries again for so long: running servers go on meanwhile. */
export const MIGRATION_LOCK_SECONDS = 3;
export const MIGRATION_RETRY_SECONDS = 120;
/** The longest that a look at the database from outside may take, for readiness and metrics; and that such a look is waited for as a whole. */
export const PROBE_SECONDS = 1;
export const READINESS_SECONDS = 1.5;
/** An answer about readiness, or all metrics, are given again for so long; what readings cost the database, and a root key, for longer. */
export const READINESS_FRESH_SECONDS = 1;
export const READINGS_FRESH_SECONDS = 15;
export const ROOT_KEY_FRESH_SECONDS = 10;
/** The longest that the end of a server waits for a collector of traces. */
export const TRACES_FLUSH_SECONDS = 2;

/** Room on the disk that is kept back for deletes and for what ends jobs, and the time between two looks for it. */
export const RESERVE_BYTES = 32 * 1024 * 1024;
export const RESERVE_CHECK_SECONDS = 10;

/**
 * A pilot that knows the end of its node ends what runs so long before, or a tenth of its whole time; and it takes no job for less than
 * the other.
 */
export const ALLOCATION_END_SECONDS = 120;
export const LEAST_ALLOCATION_SECONDS = 10;
/** A launcher counts on its pilots to ask for jobs so long after their batch job began. */
export const PILOT_START_SECONDS = 60;
/** A job that had this part of all the time of a node, and did not end, is not given back: another such node would not do. */
export const WHOLE_ALLOCATION_PART = 0.9;

/** Node's timers hold 31 bits. */
export const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** The time between two reports of a running job. */
export const HEARTBEAT_SECONDS = 30;

/** The life of a user's and a pilot's token of the embedded issuer, unless asked otherwise. */
export const USER_TOKEN_SECONDS = 12 * 3600;
export const PILOT_TOKEN_SECONDS = 7 * 24 * 3600;
/** The longest that an operator may ask for either kind of a pilot's token: a year. */
export const MAX_PILOT_TOKEN_SECONDS = 366 * 24 * 3600;
/** The time that a one-time join token may wait for its pilot, unless asked otherwise. */
export const JOIN_TOKEN_SECONDS = 3600;
/** The life of a launcher's own token, unless asked otherwise and at most: it runs for months. */
export const LAUNCHER_TOKEN_SECONDS = 366 * 24 * 3600;
/** The time that a join token made by a launcher may wait, unless asked otherwise and at most: it is made when its pilot runs. */
export const LAUNCHED_JOIN_TOKEN_SECONDS = 300;
export const MAX_LAUNCHED_JOIN_TOKEN_SECONDS = 900;
/** The join tokens that one launcher may make within a time; queues that one may have; longest id of a batch job in characters. */
export const MAX_LAUNCHER_TOKENS = 3000;
export const LAUNCHER_TOKENS_SECONDS = 300;
export const MAX_LAUNCHER_QUEUES = 100;
export const MAX_BATCH_ID_CHARS = 128;
/** The time that the workers count which a Harvester said it has; Harvesters that may share one token; numbers, and workers, in one report. */
export const WORKER_STATISTICS_SECONDS = 4 * 3600;
export const MAX_HARVESTERS = 20;
export const MAX_WORKER_COUNTS = 1000;
export const MAX_REPORTED_WORKERS = 1000;
/**
 * The longest life of a pilot's session, and the longest time that it may be silent: longer than a pilot keeps results that the server does
 * not take (`RESULT_RETRY_SECONDS`).
 */
export const PILOT_SESSION_SECONDS = 30 * 24 * 3600;
export const PILOT_IDLE_SECONDS = 4 * 3600;
/** The most that the proof on a pilot's request may be old, or ahead: its clock follows the server's. */
export const PROOF_SECONDS = 60;
/** How long the proof of a request that has time waits for others, to be written with them, and the most that are written together: one statement's. */
export const PATIENT_PROOF_MILLISECONDS = 50;
export const MAX_PROOFS_AT_ONCE = 32;
/** The time between two removals of ended proofs, which are kept for as long as they could be replayed. */
export const PROOFS_CLEANING_SECONDS = 60;
/** Sessions whose keys a server remembers, and pilots that a list shows. */
export const MAX_REMEMBERED_PILOTS = 10_000;
export const MAX_PILOTS_SHOWN = 1000;
/** Waiting jobs of a queue are counted so far: a launcher needs no more. */
export const MAX_COUNTED_JOBS = 10_000;
/** Kinds of jobs (by cores, memory, time) by which those that wait for a queue are told: the most frequent ones. */
export const MAX_KINDS_SHOWN = 100;
/** Longest reason for the end of an attempt, in characters, that is kept. */
export const MAX_DIAGNOSIS_CHARS = 1000;
/** Longest name of a person or a machine, in characters, that is kept and shown. */
export const MAX_SHOWN_CHARS = 255;
/** The most that the clocks of a token's issuer and of the server may be apart. */
export const CLOCK_TOLERANCE_SECONDS = 30;
/** Checked tokens, and owners, that one server remembers. */
export const MAX_REMEMBERED_TOKENS = 10_000;
export const MAX_REMEMBERED_OWNERS = 10_000;
/** Tokens whose signature one server need not check again, by their digests. */
export const MAX_PROVEN_TOKENS = 100_000;
/** The time that tokens of an account may still be taken after it was disabled or removed. */
export const ACCOUNT_RECHECK_SECONDS = 30;
/** The time between two looks of a server for changed root keys, and for which of them is the active one. */
export const ROOT_KEYS_RECHECK_SECONDS = 30;
/** A server that was not heard of for longer does not run. */
export const SERVER_SILENT_SECONDS = 120;
/** The time between two looks of a server for changed signing keys. */
export const SIGNING_KEYS_RECHECK_SECONDS = 30;

/** Requests from one address within a minute that do not prove who calls, or are no call: what comes after them is not looked at. */
export const MAX_FAILED_REQUESTS_PER_MINUTE = 600;
/** Addresses whose failed requests a server counts. */
export const MAX_COUNTED_ADDRESSES = 10_000;

/** Shortest password, in characters, and the longest: hashing takes longer for more. */
export const MIN_PASSWORD_CHARS = 12;
export const MAX_PASSWORD_CHARS = 256;
/** Passwords that may wait to be checked, which takes a tenth of a second each: more are refused at once. */
export const MAX_WAITING_PASSWORDS = 100;
/** Passwords that may be tried for one account within a time, right ones not counted. */
export const MAX_SIGN_IN_FAILURES = 10;
export const SIGN_IN_FAILURES_SECONDS = 15 * 60;
/** The life of a link at which somebody chooses a password. */
export const PASSWORD_LINK_SECONDS = 24 * 3600;
/** Forms, and requests for tokens, that one address may send in a minute: whole sites may share an address. */
export const MAX_FORMS_PER_MINUTE = 60;
export const MAX_TOKEN_REQUESTS_PER_MINUTE = 1200;
/** Largest form in bytes that one of these pages sends. */
export const MAX_FORM_BYTES = 16 * 1024;
/** Logins that one address may begin in a minute: each is kept for `DEVICE_CODE_SECONDS`. */
export const MAX_LOGINS_PER_MINUTE = 60;
/** The lives of the parts of a login: the tokens, a device's code, a page that waits for somebody, a browser's session. */
export const ID_TOKEN_SECONDS = 3600;
export const REFRESH_TOKEN_SECONDS = 30 * 24 * 3600;
export const DEVICE_CODE_SECONDS = 600;
export const INTERACTION_SECONDS = 1800;
export const SESSION_SECONDS = 12 * 3600;
/** The time between two removals of those that have ended. */
export const PROVIDER_CLEANING_SECONDS = 600;
/** The time before a token's end from which on a client renews it, as PanDA's clients do. */
export const RENEWAL_SECONDS = 300;
/** The time that a login's requests to an issuer may take, and after which another process that renews is taken for dead. */
export const LOGIN_REQUEST_SECONDS = 30;
export const RENEWAL_LOCK_SECONDS = 120;

/** The time between two requests for the keys of an external issuer, and the shorter one after a failure or for a key not seen before. */
export const ISSUER_KEYS_REFRESH_SECONDS = 600;
export const ISSUER_RETRY_SECONDS = 30;
/** The time that the keys of an issuer that cannot be reached are still used. */
export const ISSUER_KEYS_KEPT_SECONDS = 24 * 3600;
/** The time that an external issuer may take to answer. */
export const ISSUER_TIMEOUT_SECONDS = 5;

/** Where the embedded server listens by default, and where the clients look for it. */
export const DEFAULT_PORT = 25080;
/** The VO that tokens are for, and that clients name, unless told otherwise. */
export const DEFAULT_VO = 'panda';
/** The name of a site on its pages, unless its operator gives it one. */
export const DEFAULT_SITE_NAME = 'PanDA secrets';
export const MAX_SITE_NAME_CHARS = 60;

/**
 * Largest JSON body in bytes of a call that says no other limit; of one that carries a value, in which every byte may be a control
 * character that takes six in JSON, or a task; and of a pilot's report, which may carry what the payload says of itself.
 */
export const SMALL_BODY_BYTES = 64 * 1024;
export const MAX_JSON_BODY_BYTES = 6 * MAX_VALUE_BYTES + SMALL_BODY_BYTES;
export const MAX_REPORT_BYTES = 2 * 1024 * 1024;
/** Objects and lists inside each other, and elements of all of them, in a JSON body: looked at before it is parsed. */
export const MAX_JSON_DEPTH = 32;
export const MAX_JSON_ELEMENTS = 100_000;
/** Largest request line and headers in bytes: room for the names that a query asks for. */
export const MAX_HEADER_BYTES = 64 * 1024;
/** The time that a client may take to send a body that is not a file, and that a connection may be silent while it sends or waits. */
export const BODY_SECONDS = 60;
export const IDLE_SECONDS = 120;
/** The time that a stopping server waits for the requests that it has begun. */
export const DRAIN_SECONDS = 30;
/** The time in which a stopping server takes further requests on the connections that it has, each the last one on its own. */
export const LAST_REQUESTS_MILLISECONDS = 1000;
/** A server waits so long for the one before it on its data folder to end; longer where it was given its socket, in which requests wait as well. */
export const PREDECESSOR_SECONDS = 2;
export const PREDECESSOR_WITH_SOCKET_SECONDS = DRAIN_SECONDS + 5;

/**
 * The search for secrets in a job's outputs: the most bytes, as they are and unpacked, the longest time, and how many archives inside one
 * another are looked into.
 */
export const MAX_SEARCHED_BYTES = 8 * 1024 * 1024 * 1024;
export const LEAK_SEARCH_SECONDS = 60;
export const MAX_ARCHIVES_DEPTH = 6;
/** Most bytes of a payload's output that its log keeps; the rest is read and thrown away. */
export const MAX_LOG_BYTES = 256 * 1024 * 1024;
/**
 * The log of a running job, for its owner to follow: how often its pilot sends what is new, how much of it makes it send sooner,
 * the largest part that it sends at once, the most that a server keeps before the whole log comes, and the most in one answer.
 */
export const LIVE_LOG_SECONDS = 3;
export const LIVE_LOG_SOON_BYTES = 64 * 1024;
export const MAX_LIVE_LOG_PART_BYTES = 256 * 1024;
/** The same of a part that is signed, before it is sealed: age's header for one recipient takes two kB. */
export const MAX_SIGNED_LIVE_LOG_PART_BYTES = MAX_LIVE_LOG_PART_BYTES - 8 * 1024;
export const MAX_LIVE_LOG_BYTES = 16 * 1024 * 1024;
export const MAX_LIVE_LOG_ANSWER_BYTES = 256 * 1024;
/** The longest that an answer waits for more of a log: shorter than `SILENCE_SECONDS`, longer than `LIVE_LOG_SECONDS`. */
export const LIVE_LOG_WAIT_SECONDS = 4;
/** Readers who wait at a time, in all and of one owner: the others are answered at once. And logs of which the size is remembered. */
export const MAX_WAITING_READERS = 5000;
export const MAX_WAITING_READERS_PER_OWNER = 200;
export const MAX_KNOWN_LIVE_LOGS = 10_000;
/** The time that a server keeps it after the last part, when the whole log never comes. */
export const LIVE_LOG_KEPT_SECONDS = 7 * 24 * 3600;
export const LIVE_LOGS_CLEANING_SECONDS = 3600;
/** Time between two removals of files that nothing names any more. */
export const ORPHANS_CLEANING_SECONDS = 6 * 3600;
/**
 * How long things are kept unless a setting says otherwise, in days: ended tasks with their jobs; their logs and outputs; sandboxes that no task needs;
 * records of deliveries; entries of the audit; pilots' sessions and join tokens that ended. And how much longer the first entry of a chain may
 * stay before the chain is cut.
 */
export const KEEP_TASKS_DAYS = 365;
export const KEEP_FILES_DAYS = 90;
export const KEEP_SANDBOXES_DAYS = 30;
export const KEEP_DELIVERIES_DAYS = 730;
export const KEEP_AUDIT_DAYS = 1826;
export const KEEP_PILOTS_DAYS = 30;
export const AUDIT_CUT_DAYS = 30;
/** The time between two removals of what is no longer kept, the rows that one transaction removes at most, and the pause behind it. */
export const RETENTION_SECONDS = 1800;
export const MAX_REMOVED_AT_ONCE = 500;
export const BATCH_PAUSE_MILLISECONDS = 10;
/** A sandbox that is asked for is noted as used again after this time. */
export const SANDBOX_USE_SECONDS = 3600;
/** Pages of an SQLite database that are given back to the disk at once, and how many free ones are kept for what comes. */
export const RECLAIMED_PAGES = 500;
export const KEPT_FREE_PAGES = 1000;
/** The largest SQLite database of an earlier release, in bytes, that is rewritten at a start so that it can shrink: a second's work. */
export const MAX_REWRITTEN_BYTES = 64 * 1024 * 1024;
/** Bytes of SQLite's log that stay on the disk between its checkpoints. */
export const KEPT_WAL_BYTES = 64 * 1024 * 1024;
/** The time between two questions of a client that follows a task, and the time that it goes on when nobody answers. */
export const FOLLOW_SECONDS = 2;
export const MAX_UNANSWERED_SECONDS = 600;
/** Most bytes that a sandbox may have unpacked, and files. */
export const MAX_UNPACKED_BYTES = 8 * 1024 * 1024 * 1024;
export const MAX_UNPACKED_FILES = 200_000;
/** Largest environment variable, Linux's MAX_ARG_STRLEN (name, `=`, value, NUL), and most bytes of a job's secrets among them. */
export const MAX_VARIABLE_BYTES = 128 * 1024;
export const MAX_SECRET_VARIABLES_BYTES = 1024 * 1024;
/**
 * The least and the most that Linux lets the arguments and the environment of a program take, whatever the stack limit, and the part
 * of it that the pilot leaves to the command and to what it starts.
 */
export const MIN_ARGUMENTS_BYTES = 128 * 1024;
export const MAX_ARGUMENTS_BYTES = 6 * 1024 * 1024;
export const SPARE_ARGUMENTS_BYTES = 16 * 1024;
/** The time that a payload that was told to stop may take before it is killed, and what it left behind after its end. */
export const KILL_GRACE_SECONDS = 5;
export const LEFTOVER_GRACE_SECONDS = 1;
/** The time in which a pilot whose payload failed may learn that it was told to stop as well. */
export const TOLD_TOGETHER_SECONDS = 0.3;
/** The time between two questions of a pilot for killed jobs among its own. */
export const KILL_POLL_SECONDS = 3;
/** The time between two looks at the memory and disk that a job uses, and the memory that it may use beyond what it asked for. */
export const MEMORY_POLL_SECONDS = 2;
export const DISK_POLL_SECONDS = 3;
export const MEMORY_GRACE = 2;
/** The time that a pilot keeps results that the server does not take, and the shorter one when it was itself told to stop. */
export const RESULT_RETRY_SECONDS = 3600;
export const LAST_REPORT_SECONDS = 8;
/** The longest a pilot waits between two questions for a job, and between two tries at a server that does not answer. */
export const MAX_IDLE_POLL_SECONDS = 15;
export const MAX_BACKOFF_SECONDS = 60;
/** The time that a command of a batch system may take, and the most that it may answer: some 100 characters for each batch job. */
export const MAX_COMMAND_SECONDS = 60;
export const MAX_BATCH_OUTPUT_CHARS = 16 * 1024 * 1024;
/** A launcher submits at most so many pilots at each look, hands over so many tokens at once, and waits so long after failures at most. */
export const MAX_SUBMITS_A_ROUND = 20;
export const MAX_HAND_OVERS = 8;
export const LAUNCHER_BACKOFF_SECONDS = 600;
/** A pilot on a machine that cannot be looked into, whose mark is older than this, is taken for dead. */
export const PILOT_SILENCE_SECONDS = 24 * 3600;

/** A client says after this time that a server, which has its request, is silent, and gives it up after the longer one. */
export const SILENCE_SECONDS = 10;
export const REQUEST_TIMEOUT_SECONDS = 60;
/** Largest answer in bytes that a client reads: an owner's values, each byte of which takes up to eight in JSON that is sealed. */
export const MAX_ANSWER_BYTES = 10 * MAX_OWNER_BYTES;
/** Longest name of a task or output container, as PanDA's prun checks it: the `/` at the end is counted. */
export const MAX_CONTAINER_NAME_CHARS = 132;
/** The tasks that `pbook show` asks for unless told otherwise. */
export const SHOWN_TASK_DAYS = 14;
export const SHOWN_TASKS = 1000;

/** Stanzas of a sealed secret, the one that marks it and its owner's included, and the sites that one can be sealed for. */
export const MAX_SEALED_STANZAS = 32;
export const MAX_SEALED_SITES = MAX_SEALED_STANZAS - 2;
/** Largest header in bytes of a sealed secret's age file: a stanza for a site has 1560. */
export const MAX_SEALED_HEADER_BYTES = 64 * 1024;
/** Smallest size in bytes to which a sealed secret is padded. */
export const MIN_SEALED_BYTES = 1024;
/** Longest grant, and site's record or result's signature, in characters. */
export const MAX_GRANT_CHARS = 2 * 1024 * 1024;
export const MAX_SIGNED_CHARS = 8 * 1024;
/** The time that a grant is valid unless its user says otherwise, and at most. */
export const GRANT_SECONDS = 7 * 24 * 3600;
export const MAX_GRANT_SECONDS = 31 * 24 * 3600;
/** The time that a site's record is valid at most. */
export const MAX_SITE_RECORD_SECONDS = 31 * 24 * 3600;
/** The time that a site's key is kept after another took its place, and how many are kept. */
export const SITE_KEY_KEPT_SECONDS = 90 * 24 * 3600;
export const MAX_KEPT_SITE_KEYS = 32;
/** A record is valid from so long before it was signed: clocks differ. */
export const SITE_RECORD_EARLY_SECONDS = 3600;

/** Processes of one server that serve its connections. */
export const MAX_WORKERS = 64;
/** A worker that ends again and again is started anew after so long at the latest; one that stayed for longer than the other, at once. */
export const WORKER_RESTART_SECONDS = 30;
export const WORKER_STEADY_SECONDS = 60;
/** The time in which a worker tells its counts to another. */
export const METRICS_OF_WORKER_MILLISECONDS = 1000;
/** Workers are asked so often for a sign; one that was found silent so many times, one after the other, is killed. */
export const WORKER_CHECK_SECONDS = 5;
export const MAX_WORKER_SILENCES = 6;
/** While it starts it has longer; the first of all much longer, as it may make the tables of a newer release. */
export const MAX_START_SILENCES = 24;
export const MAX_FIRST_START_SILENCES = 180;
