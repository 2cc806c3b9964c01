import type { Generated } from 'kysely';
import type { AttributeColumns } from '../protocol/secret-attributes.ts';

/**
 * The tables, as both databases have them. Times are milliseconds since 1970 UTC, binary columns are bytes, `json`
 * columns are JSON text, booleans are 0 or 1. The words are those of `docs/developer.md`'s glossary.
 */
export interface Schema {
  owners: OwnersTable;
  data_keys: DataKeysTable;
  secrets: SecretsTable;
  secret_versions: SecretVersionsTable;
  audit: AuditTable;
  audit_heads: AuditHeadsTable;
  audit_stones: AuditStonesTable;
  accounts: AccountsTable;
  password_links: PasswordLinksTable;
  sign_in_failures: SignInFailuresTable;
  provider_records: ProviderRecordsTable;
  queues: QueuesTable;
  queue_turns: QueueTurnsTable;
  waiting_owners: WaitingOwnersTable;
  site_records: SiteRecordsTable;
  brought_files: BroughtFilesTable;
  join_tokens: JoinTokensTable;
  pilots: PilotsTable;
  launchers: LaunchersTable;
  worker_statistics: WorkerStatisticsTable;
  pilot_proofs: PilotProofsTable;
  sandboxes: SandboxesTable;
  tasks: TasksTable;
  task_grants: TaskGrantsTable;
  jobs: JobsTable;
  attempts: AttemptsTable;
  job_files: JobFilesTable;
  deliveries: DeliveriesTable;
  delivered_secrets: DeliveredSecretsTable;
  installation_keys: InstallationKeysTable;
  signing_keys: SigningKeysTable;
  servers: ServersTable;
}

/** Somebody who may keep secrets: `issuer` and `subject` together say who; `display_name` is for show. */
interface OwnersTable {
  id: string;
  issuer: string;
  subject: string;
  display_name: string;
  created_at: number;
  /** Counts every change of the owner's secrets; what was cached at another revision is stale. */
  revision: Generated<number>;
  /** The head of the owner's audit chain: its last row's number and hash. */
  audit_seq: Generated<number>;
  audit_hash: Uint8Array | null;
  /** 1 when the user of an outside issuer may not be used. */
  blocked: Generated<number>;
  /** Tokens that were issued before are void; for users of outside issuers. */
  tokens_from: Generated<number>;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

interface DataKeysTable {
  id: string;
  owner_id: string;
  root_key_id: string;
  wrapped: Uint8Array;
  created_at: number;
  /** 1 for the key that new values are encrypted under. */
  active: number;
}

/**
 * A secret: its name is found by keyed hash and shown by opening `name_ciphertext`. It has a column of text for each attribute,
 * null where it is not set.
 */
interface SecretsTable extends AttributeColumns {
  id: string;
  owner_id: string;
  data_key_id: string;
  name_hash: Uint8Array;
  name_ciphertext: Uint8Array;
  /** `string`; `file` where an earlier release hashed the name with the mark of a file in front. */
  hashed_as: string;
  current_version: number;
  /** Bytes of the current version's value. */
  size: number;
  /** 1 when its owner's client sealed the value. */
  sealed: Generated<number>;
  created_at: number;
  updated_at: number;
  /** When this system found that its end (`expires`) had come: it stays ended, also when the clock is set back. */
  expired_at: number | null;
  /** When a job last got it, to `USE_NOTED_SECONDS`. */
  last_used_at: number | null;
}

interface SecretVersionsTable {
  secret_id: string;
  version: number;
  owner_id: string;
  data_key_id: string;
  /** Bytes of the value. */
  size: number;
  created_at: number;
  /** Last, so that SQLite reads the others without walking through it. */
  ciphertext: Uint8Array;
}

/** Heads of chains that belong to no owner. */
interface AuditHeadsTable {
  chain: string;
  audit_seq: number;
  audit_hash: Uint8Array | null;
}

/** Where chains begin whose first entries are not kept any more. */
interface AuditStonesTable {
  chain: string;
  /** The last entry that was cut. */
  seq: number;
  /** Its hash, hex. */
  hash: string;
  cut_at: number;
  /** `TAGGED_COLUMNS` says what it covers. */
  tag: Uint8Array | null;
}

/** Append-only, cut at the front alone; each row holds the hash of the one before it in its owner's chain (chain `system` for operators' acts). */
interface AuditTable {
  /** The chain's id: an owner's, or `system`. */
  owner_id: string;
  seq: number;
  at: number;
  /** Who did it: `AuditActor`. */
  actor: string;
  action: string;
  /** JSON: ids and versions, never a name or a value. */
  detail: string;
  previous_hash: Uint8Array | null;
  hash: Uint8Array;
}

/** Accounts of the embedded issuer. */
interface AccountsTable {
  /** The login name, lower case. */
  name: string;
  /** The `sub` of its tokens: random, so that a name that is given to another person later is another owner. */
  subject: string;
  display_name: string;
  created_at: number;
  disabled: Generated<number>;
  /** 1 for an operator. */
  operator: Generated<number>;
  /** 1 once somebody may have tokens of it: a password was chosen, or a token made. */
  claimed: Generated<number>;
  /** `identity/passwords.ts` says how it is written; null while none was chosen. */
  password_hash: string | null;
  /** Tokens that were issued before are void. */
  tokens_from: Generated<number>;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** Links at which an account's password may be chosen, once. */
interface PasswordLinksTable {
  /** SHA-256 of what the link holds, hex: who reads the database cannot use it. */
  token_hash: string;
  subject: string;
  expires_at: number;
  /** 1 when it is good only as long as the account is unclaimed. */
  unclaimed_only: Generated<number>;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** Passwords that were tried in vain. */
interface SignInFailuresTable {
  /** The name that was tried, whether there is such an account or not. */
  name: string;
  failures: number;
  /** When they are forgotten. */
  expires_at: number;
}

/** Records of the OpenID provider: codes, refresh tokens, sessions, grants, pages that wait for somebody. */
interface ProviderRecordsTable {
  /** The kind, in the provider's words: `RefreshToken`, `DeviceCode`, `Session`, ... */
  model: string;
  /** A keyed hash of the record's id, hex: most ids are what a client proves itself with. */
  id_hash: string;
  /** JSON under the installation key, bound to this row, base64. */
  payload: string;
  /** The `sub` of the account that it is about, once there is one. */
  subject: string | null;
  /** Keyed hashes, as the next two. */
  grant_id: string | null;
  user_code: string | null;
  uid: string | null;
  /** When it was used, where it may be used once. */
  consumed_at: number | null;
  expires_at: number | null;
}

interface QueuesTable {
  name: string;
  /** 1 when a pilot that offers no key may have secrets over TLS alone. */
  allow_tls_secrets: Generated<number>;
  created_at: number;
  /** `paused` or `draining`; null for one that is open. */
  state: string | null;
  /** Since when it gives secrets over TLS alone, where it did not from the start. */
  tls_secrets_since: number | null;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** When each owner's jobs were last given to a pilot of a queue: a number that counts on within the queue. */
interface QueueTurnsTable {
  queue: string;
  owner_id: string;
  turn: number;
}

/** Whose jobs wait. The queue is empty for jobs that name none. */
interface WaitingOwnersTable {
  owner_id: string;
  queue: string;
  use_secrets: number;
  /** As in `queue_turns`. */
  turn: number;
  /** Counts the times at which jobs began to wait. */
  changes: number;
}

/** The record of a queue's site. Whoever uses it checks it: it is signed, and no server could make another. */
interface SiteRecordsTable {
  queue: string;
  record: string;
  changed_at: number;
}

/** Bytes of sandboxes, logs and outputs that owners brought. */
interface BroughtFilesTable {
  owner_id: string;
  /** Days since 1970 UTC. */
  day: number;
  /** An upload under way counts with the size that it may come to. */
  bytes: number;
}

/** One-time tokens that let a pilot in. */
interface JoinTokensTable {
  /** The part of the token that is sent and shown. */
  id: string;
  queue: string;
  /** The root key that the next column is wrapped under. */
  root_key_id: string;
  /** The key that joining is proved with, of which the token's secret cannot be had back. */
  wrapped_key: Uint8Array;
  created_at: number;
  expires_at: number;
  /** The pilot that used it, once. */
  pilot_id: string | null;
  used_at: number | null;
  /** The number of times that somebody proved to hold it after it was used; the last time and place, and 1 if with the first one's key. */
  refused_uses: Generated<number>;
  refused_at: number | null;
  refused_node: string | null;
  refused_same_key: number | null;
  /** The launcher that it was made for, and the batch job that its pilot is in; null for one that an operator made. */
  launcher_id: Generated<string | null>;
  batch_id: Generated<string | null>;
}

/** Pilots that joined: their sessions. */
interface PilotsTable {
  id: string;
  queue: string;
  /** Its machine as it named it, for show. */
  node: string;
  /** The Ed25519 key that its requests are signed by, base64url. */
  public_key: string;
  root_key_id: string;
  /** The key that answers to it are proved with. */
  wrapped_key: Uint8Array;
  created_at: number;
  /** Kept to the minute. */
  seen_at: number;
  expires_at: number;
  ended_at: number | null;
  /** `operator`, `launcher` or `pilot`. */
  ended_by: string | null;
  /** As the join token that let it in. */
  launcher_id: Generated<string | null>;
  batch_id: Generated<string | null>;
  /** When its launcher told that the batch job had ended. */
  batch_ended_at: Generated<number | null>;
}

/** Programs that start pilots of a few queues. */
interface LaunchersTable {
  /** Random: a launcher that gets the name later is another one. */
  id: string;
  name: string;
  /** JSON list of the queues that it starts pilots for. */
  queues: string;
  created_at: number;
  /** Tokens that were issued before are void. */
  tokens_from: number;
  /** When its token ends. */
  ends_at: number;
  /** `TAGGED_COLUMNS` says what it covers. */
  tag: Uint8Array | null;
  /** When the time began in which its join tokens are counted, and their number since. */
  window_start: Generated<number>;
  window_count: Generated<number>;
}

/** Proofs that were taken: none is taken twice. */
interface PilotProofsTable {
  pilot_id: string;
  jti: string;
  /** When a proof of its age would be refused anyway. */
  expires_at: number;
}

/** The workers of a queue that a launcher said it has, when it said so last. */
interface WorkerStatisticsTable {
  launcher_id: string;
  queue: string;
  /** The name that a Harvester gives itself. */
  harvester_id: string;
  /** JSON: kind of work, kind of resource, state, count. */
  statistics: string;
  reported_at: number;
}

interface SandboxesTable {
  /** The file name on the wire: `jobO.UUID.tar.gz` or `sources.UUID.tar.gz`. */
  name: string;
  owner_id: string;
  /** Which blob holds it: SHA-256, hex. */
  sha256: string;
  size: number;
  /** PanDA's checksum of it, by which clients ask whether it is there already. */
  checksum: string;
  created_at: number;
  /** When a task last started from it, or its owner's client asked for it. */
  used_at: Generated<number>;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

interface TasksTable {
  id: Generated<number>;
  owner_id: string;
  /** As submitted, with the `/` at its end. */
  name: string;
  /** 1 when no other task of its owner may take the name while it is active or after it succeeded. */
  unique_name: number;
  state: string;
  /** The queue that it is for, or null for any. */
  queue: string | null;
  /** 1 when its jobs get secrets, 2 when they get sealed ones. */
  use_secrets: number;
  /** JSON list of secret ids when only those were asked for, else null: all. */
  secret_ids: string | null;
  /** JSON: the `JobTemplate` that its jobs are made from when they are acquired. */
  parameters: string;
  /** As its parameters have them, of each job: `JobTemplate` says in which units. */
  cores: Generated<number>;
  memory_mb: Generated<number>;
  walltime_seconds: Generated<number>;
  /** PanDA's `prodSourceLabel`. */
  source_label: Generated<string>;
  /** The name of the sandbox that its jobs start from, if any. */
  sandbox: Generated<string | null>;
  job_count: number;
  max_attempts: number;
  /** Why it ended, for its owner. */
  diagnosis: string;
  created_at: number;
  modified_at: number;
  ended_at: number | null;
  /** When its removal began: it is no longer its owner's. */
  removed_at: Generated<number | null>;
  /** When its logs and outputs were removed. */
  files_removed_at: Generated<number | null>;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** The grant of a task with sealed secrets, signed by its owner: its jobs wait for it. */
interface TaskGrantsTable {
  task_id: number;
  /** 1 while its owner has not signed, or not again after a retry. */
  awaited: number;
  /** The last one. */
  grant_word: string | null;
}

interface JobsTable {
  id: Generated<number>;
  task_id: number;
  owner_id: string;
  /** From 1 within its task. */
  serial: number;
  state: string;
  queue: string | null;
  /** As its task. */
  use_secrets: number;
  /** The attempt that runs, or ran last; 0 before the first. */
  attempt: Generated<number>;
  max_attempts: number;
  /** 1 when its owner asked to stop it. */
  kill_requested: Generated<number>;
  created_at: number;
  modified_at: number;
}

interface AttemptsTable {
  job_id: number;
  attempt: number;
  state: string;
  queue: string;
  pilot_id: string;
  node: string;
  /** The longest that its pilot may be silent. */
  lease_seconds: number;
  lease_until: number;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  /** The payload's exit status. */
  exit_code: number | null;
  error_code: number | null;
  diagnosis: string;
  /** As the job's own: what was acquired stays its owner's and its task's. */
  task_id: number;
  owner_id: string;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** Files that an attempt brought back, or that its pilot put elsewhere. */
interface JobFilesTable {
  job_id: number;
  attempt: number;
  name: string;
  /** `log` or `output`. */
  kind: string;
  /** The blob that holds it, or null. */
  sha256: string | null;
  /** Where it is instead, as its pilot wrote it. */
  location: string | null;
  size: number;
  created_at: number;
  /** The statement of the node that made it, for its owner. */
  signature: string | null;
  /** `TAGGED_COLUMNS` says what it covers. Null before the database had its installation key. */
  tag: Uint8Array | null;
}

/** Which attempt on which node was given secrets, and how. */
interface DeliveriesTable {
  id: string;
  owner_id: string;
  task_id: number;
  job_id: number;
  attempt: number;
  pilot_id: string;
  queue: string;
  node: string;
  at: number;
  /** The KEM it was sealed with, or `tls`. */
  sealed_with: string;
}

interface DeliveredSecretsTable {
  delivery_id: string;
  secret_id: string;
  version: number;
}

/** The key that rows are tagged under, wrapped. There is one. */
interface InstallationKeysTable {
  id: string;
  /** Always 1, and unique: of several servers that make the first one, one does. */
  slot: number;
  root_key_id: string;
  wrapped_key: Uint8Array;
  created_at: number;
}

/** The keys that sign tokens, under the installation key. There is one row. */
interface SigningKeysTable {
  /** Always 1. */
  slot: number;
  /** Counts the changes. */
  revision: number;
  sealed: Uint8Array;
}

/** Servers that run on this database. Nothing that is given to anybody depends on it. */
interface ServersTable {
  /** Random, of each start. */
  id: string;
  /** Its machine's name. */
  node: string;
  /** JSON list: the ids of the root keys that it has. */
  root_keys: string;
  seen_at: number;
}
