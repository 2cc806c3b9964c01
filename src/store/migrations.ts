import { type Kysely, sql, type Updateable } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';
import { FIRST_TASK_ID } from '../protocol/limits.ts';
import type { Schema } from './schema.ts';

/** The differences between the two databases in a table's definition. */
export interface ColumnTypes {
  /** Bytes. */
  bytes: string;
  /** A 64-bit integer. */
  int: string;
  /** A primary key that the database counts up by itself and never reuses. */
  identity: string;
  /** The statement that makes `table`'s next id `first`. */
  startIdsAt(table: string, first: number): string;
}

/** The migrations in order. None ever changes, and a new one only adds: docs/decisions/0036-migrations-only-add.md. */
export function migrationProvider(types: ColumnTypes): MigrationProvider {
  return {
    async getMigrations() {
      return {
        '0001-start': statements(start(types)),
        '0002-operators': statements(operators(types)),
        '0003-system-audit': statements(systemAudit(types)),
        // It told the kind, and what the name is hashed as. The kind is in the name's ciphertext.
        '0004-name-is-one-secret': statements(['alter table secrets rename column kind to hashed_as']),
        '0005-claimed-accounts': statements(claimedAccounts(types)),
        '0006-secret-mask': statements(['alter table secrets add column mask text']),
        '0007-task-sandbox': { up: taskSandbox },
        '0008-fair-turns': statements(fairTurns(types)),
        '0009-row-tags': statements(rowTags(types)),
        '0010-brought-files': statements(broughtFiles(types)),
        '0011-queue-states': statements(queueStates(types)),
        '0012-site-records': statements(siteRecords(types)),
        '0013-sealed-secrets': statements(sealedSecrets(types)),
        '0014-secret-expiry': statements(secretExpiry(types)),
        '0015-launchers': { up: (db) => launchers(db, types) },
        '0016-worker-statistics': { up: (db) => workerStatistics(db, types) },
        '0017-retention': statements(retention(types)),
        '0018-servers': statements(servers(types)),
        '0019-ended-batch-jobs': statements(endedBatchJobs(types)),
        '0020-waiting-owners': statements(waitingOwners(types)),
        '0021-earlier-names': statements([
          "create index secrets_hashed_otherwise on secrets (owner_id) where hashed_as <> 'string'",
        ]),
      };
    },
  };
}

function statements(list: string[]): Migration {
  return {
    async up(db: Kysely<unknown>) {
      for (const statement of list) await sql.raw(statement).execute(db);
    },
  };
}

function start({ bytes, int, identity, startIdsAt }: ColumnTypes): string[] {
  return [
    `create table owners (
      id text primary key,
      issuer text not null,
      subject text not null,
      display_name text not null,
      created_at ${int} not null,
      revision ${int} not null default 0,
      audit_seq ${int} not null default 0,
      audit_hash ${bytes},
      unique (issuer, subject))`,

    `create table data_keys (
      id text primary key,
      owner_id text not null references owners (id),
      root_key_id text not null,
      wrapped ${bytes} not null,
      created_at ${int} not null,
      active ${int} not null)`,
    // One active data key per owner, however many replicas make the first one at the same moment.
    'create unique index data_keys_active on data_keys (owner_id) where active = 1',

    `create table secrets (
      id text primary key,
      owner_id text not null references owners (id),
      data_key_id text not null,
      name_hash ${bytes} not null,
      name_ciphertext ${bytes} not null,
      queues text,
      kind text not null,
      current_version ${int} not null,
      size ${int} not null,
      created_at ${int} not null,
      updated_at ${int} not null,
      unique (owner_id, name_hash))`,

    `create table secret_versions (
      secret_id text not null references secrets (id) on delete cascade,
      version ${int} not null,
      owner_id text not null,
      data_key_id text not null,
      size ${int} not null,
      created_at ${int} not null,
      ciphertext ${bytes} not null,
      primary key (secret_id, version))`,

    `create table audit (
      owner_id text not null,
      seq ${int} not null,
      at ${int} not null,
      actor text not null,
      action text not null,
      detail text not null,
      previous_hash ${bytes},
      hash ${bytes} not null,
      primary key (owner_id, seq))`,

    `create table accounts (
      name text primary key,
      subject text not null unique,
      display_name text not null,
      created_at ${int} not null,
      disabled ${int} not null default 0,
      password_hash text)`,

    `create table password_links (
      token_hash text primary key,
      subject text not null references accounts (subject) on delete cascade,
      expires_at ${int} not null)`,

    `create table sign_in_failures (
      name text primary key,
      failures ${int} not null,
      expires_at ${int} not null)`,

    `create table provider_records (
      model text not null,
      id_hash text not null,
      payload text not null,
      subject text,
      grant_id text,
      user_code text,
      uid text,
      consumed_at ${int},
      expires_at ${int},
      primary key (model, id_hash))`,
    'create index provider_records_of_grant on provider_records (grant_id) where grant_id is not null',
    'create index provider_records_of_subject on provider_records (subject) where subject is not null',
    'create index provider_records_by_user_code on provider_records (user_code) where user_code is not null',
    'create index provider_records_by_uid on provider_records (uid) where uid is not null',
    'create index provider_records_ended on provider_records (expires_at)',

    `create table queues (
      name text primary key,
      allow_tls_secrets ${int} not null default 0,
      created_at ${int} not null)`,

    `create table join_tokens (
      id text primary key,
      queue text not null,
      root_key_id text not null,
      wrapped_key ${bytes} not null,
      created_at ${int} not null,
      expires_at ${int} not null,
      pilot_id text,
      used_at ${int},
      refused_uses ${int} not null default 0,
      refused_at ${int},
      refused_node text,
      refused_same_key ${int})`,

    `create table pilots (
      id text primary key,
      queue text not null,
      node text not null,
      public_key text not null,
      root_key_id text not null,
      wrapped_key ${bytes} not null,
      created_at ${int} not null,
      seen_at ${int} not null,
      expires_at ${int} not null,
      ended_at ${int},
      ended_by text)`,

    // By their end first: new ones are written beside each other, and those that have ended lie together.
    `create table pilot_proofs (
      pilot_id text not null,
      jti text not null,
      expires_at ${int} not null,
      primary key (expires_at, pilot_id, jti))`,

    `create table sandboxes (
      name text primary key,
      owner_id text not null,
      sha256 text not null,
      size ${int} not null,
      checksum text not null,
      created_at ${int} not null)`,
    'create index sandboxes_content on sandboxes (owner_id, size, checksum)',

    `create table tasks (
      id ${identity},
      owner_id text not null references owners (id),
      name text not null,
      unique_name ${int} not null,
      state text not null,
      queue text,
      use_secrets ${int} not null,
      secret_ids text,
      parameters text not null,
      job_count ${int} not null,
      max_attempts ${int} not null,
      diagnosis text not null default '',
      created_at ${int} not null,
      modified_at ${int} not null,
      ended_at ${int})`,
    startIdsAt('tasks', FIRST_TASK_ID),
    'create index tasks_of_owner on tasks (owner_id, modified_at)',
    'create index tasks_named on tasks (owner_id, name)',
    // A name is taken while its task is active or when it succeeded, however many are submitted at the same moment.
    `create unique index tasks_named_once on tasks (owner_id, name)
      where unique_name = 1 and state not in ('failed', 'aborted', 'exhausted', 'broken')`,

    `create table jobs (
      id ${identity},
      task_id ${int} not null references tasks (id),
      owner_id text not null,
      serial ${int} not null,
      state text not null,
      queue text,
      use_secrets ${int} not null,
      attempt ${int} not null default 0,
      max_attempts ${int} not null,
      kill_requested ${int} not null default 0,
      created_at ${int} not null,
      modified_at ${int} not null,
      unique (task_id, serial))`,
    // All that finding the next job needs, so that jobs of other queues are passed over within the index.
    "create index jobs_waiting on jobs (id, queue, use_secrets) where state = 'activated'",
    'create index jobs_of_task on jobs (task_id, state)',

    `create table attempts (
      job_id ${int} not null references jobs (id),
      attempt ${int} not null,
      state text not null,
      queue text not null,
      pilot_id text not null,
      node text not null,
      lease_seconds ${int} not null,
      lease_until ${int} not null,
      created_at ${int} not null,
      started_at ${int},
      ended_at ${int},
      exit_code ${int},
      error_code ${int},
      diagnosis text not null default '',
      primary key (job_id, attempt))`,
    'create index attempts_leased on attempts (lease_until) where ended_at is null',

    `create table job_files (
      job_id ${int} not null references jobs (id),
      attempt ${int} not null,
      name text not null,
      kind text not null,
      sha256 text,
      location text,
      size ${int} not null,
      created_at ${int} not null,
      primary key (job_id, attempt, name))`,

    `create table deliveries (
      id text primary key,
      owner_id text not null,
      task_id ${int} not null,
      job_id ${int} not null,
      attempt ${int} not null,
      pilot_id text not null,
      queue text not null,
      node text not null,
      at ${int} not null,
      sealed_with text not null)`,
    'create index deliveries_of_owner on deliveries (owner_id, at)',

    `create table delivered_secrets (
      delivery_id text not null references deliveries (id) on delete cascade,
      secret_id text not null,
      version ${int} not null,
      primary key (delivery_id, secret_id))`,
  ];
}

function operators({ int }: ColumnTypes): string[] {
  return [`alter table accounts add column operator ${int} not null default 0`];
}

/** The head of the chain that belongs to no owner; `audit_seq` and `audit_hash` as in `owners`. */
function systemAudit({ bytes, int }: ColumnTypes): string[] {
  return [
    `create table audit_heads (chain text primary key, audit_seq ${int} not null, audit_hash ${bytes})`,
    "insert into audit_heads (chain, audit_seq) values ('system', 0)",
  ];
}

/** Accounts that are there already count as claimed. */
function claimedAccounts({ int }: ColumnTypes): string[] {
  return [
    `alter table accounts add column claimed ${int} not null default 1`,
    `alter table password_links add column unclaimed_only ${int} not null default 0`,
  ];
}

async function taskSandbox(db: Kysely<unknown>): Promise<void> {
  await statements([
    'alter table tasks add column sandbox text',
    'create index tasks_of_sandbox on tasks (sandbox) where sandbox is not null',
  ]).up(db);
  await nameSandboxes(db as Kysely<Schema>);
}

const SANDBOX = /-a ((?:jobO|sources)\.[0-9a-f-]{36}\.tar\.gz)/i;

/** Writes a sandbox's name into the row of each task that starts from it. Earlier releases had it in the parameters alone. @internal */
export async function nameSandboxes(db: Kysely<Schema>): Promise<void> {
  await changeTasks(db, (parameters) => {
    const sandbox = SANDBOX.exec(parameters)?.[1];
    return sandbox ? { sandbox } : undefined;
  });
}

/**
 * Owners of a queue have their jobs taken in turns. The index has all that finding the next owner, and that owner's oldest job, needs.
 * The other one is for how much an owner has under way.
 */
function fairTurns({ int }: ColumnTypes): string[] {
  return [
    `create table queue_turns (
      queue text not null,
      owner_id text not null,
      turn ${int} not null,
      primary key (queue, owner_id))`,
    'create index queue_turns_last on queue_turns (queue, turn)',
    'drop index jobs_waiting',
    "create index jobs_waiting on jobs (queue, owner_id, use_secrets, id) where state = 'activated'",
    'create index tasks_open on tasks (owner_id, job_count) where ended_at is null',
  ];
}

/** The installation's own keys, tags of rows, and from when on tokens are good. A row has a tag from the first start on. */
function rowTags({ bytes, int }: ColumnTypes): string[] {
  const tagged = ['owners', 'accounts', 'password_links', 'queues', 'sandboxes', 'tasks', 'attempts', 'job_files'];
  return [
    `create table installation_keys (
      id text primary key,
      slot ${int} not null unique,
      root_key_id text not null,
      wrapped_key ${bytes} not null,
      created_at ${int} not null)`,

    `create table signing_keys (
      slot ${int} primary key,
      revision ${int} not null,
      sealed ${bytes} not null)`,

    `alter table owners add column blocked ${int} not null default 0`,
    `alter table owners add column tokens_from ${int} not null default 0`,
    `alter table accounts add column tokens_from ${int} not null default 0`,
    `alter table attempts add column task_id ${int} not null default 0`,
    `alter table attempts add column owner_id text not null default ''`,
    `update attempts set task_id = (select task_id from jobs where jobs.id = attempts.job_id),
      owner_id = (select owner_id from jobs where jobs.id = attempts.job_id)`,
    ...tagged.map((table) => `alter table ${table} add column tag ${bytes}`),

    // Logins of before had device codes in clear, and no tags: everybody logs in once more.
    'delete from provider_records',
  ];
}

/** Bytes that owners brought, and those under way, day by day; and which rows a file is for. */
function broughtFiles({ int }: ColumnTypes): string[] {
  return [
    `create table brought_files (
      owner_id text not null,
      day ${int} not null,
      bytes ${int} not null,
      primary key (owner_id, day))`,
    'create index sandboxes_in_blob on sandboxes (sha256)',
    'create index job_files_in_blob on job_files (sha256) where sha256 is not null',
  ];
}

/** A queue may be paused or emptied. An owner's notices of weaker queues are found without reading the rest of the chain. */
function queueStates({ int }: ColumnTypes): string[] {
  return [
    'alter table queues add column state text',
    `alter table queues add column tls_secrets_since ${int}`,
    "create index audit_queue_notices on audit (owner_id, seq) where action = 'queue.tls_secrets'",
  ];
}

/** The record of a queue's site: its nodes' keys, signed by the site. */
function siteRecords({ int }: ColumnTypes): string[] {
  return [
    `create table site_records (
      queue text primary key,
      record text not null,
      changed_at ${int} not null)`,
  ];
}

/** Values that their owners' clients sealed, the grants of tasks that have such, and what a node says of a file that it made. */
function sealedSecrets({ int }: ColumnTypes): string[] {
  return [
    `alter table secrets add column sealed ${int} not null default 0`,
    'alter table job_files add column signature text',
    `create table task_grants (
      task_id ${int} primary key references tasks (id),
      awaited ${int} not null,
      grant_word text)`,
  ];
}

/** The end of a secret, when it was found to have come, and when a job last got the secret: of before, as the deliveries tell. */
function secretExpiry({ int }: ColumnTypes): string[] {
  return [
    'alter table secrets add column expires text',
    `alter table secrets add column expired_at ${int}`,
    `alter table secrets add column last_used_at ${int}`,
    'create index secrets_to_expire on secrets (expires) where expires is not null and expired_at is null',
    'create index secrets_expired on secrets (expired_at) where expired_at is not null',
    `update secrets set last_used_at = uses.at from
      (select secret_id, max(at) as at from delivered_secrets
        join deliveries on deliveries.id = delivered_secrets.delivery_id group by secret_id) as uses
      where uses.secret_id = secrets.id`,
  ];
}

/** Attempts that a pilot gave back when it was told to stop, which its launcher can explain; and the pilots of whose end it has told. */
function endedBatchJobs({ int }: ColumnTypes): string[] {
  return [
    `alter table pilots add column batch_ended_at ${int}`,
    'create index attempts_stopped on attempts (pilot_id) where error_code = 1201',
  ];
}

/**
 * Launchers, and the batch job that each of their pilots is in. A task's needs stand beside it, so that those of the jobs that wait are
 * counted without reading what each task is.
 */
async function launchers(db: Kysely<unknown>, { bytes, int }: ColumnTypes): Promise<void> {
  await statements([
    `create table launchers (
      id text primary key,
      name text not null unique,
      queues text not null,
      created_at ${int} not null,
      tokens_from ${int} not null,
      ends_at ${int} not null,
      tag ${bytes},
      window_start ${int} not null default 0,
      window_count ${int} not null default 0)`,
    ...['join_tokens', 'pilots'].flatMap((table) => [
      `alter table ${table} add column launcher_id text`,
      `alter table ${table} add column batch_id text`,
      `create index ${table}_of_batch on ${table} (launcher_id, batch_id) where launcher_id is not null`,
    ]),
    'create index attempts_open on attempts (queue, pilot_id) where ended_at is null',
    `alter table tasks add column cores ${int} not null default 1`,
    `alter table tasks add column memory_mb ${int} not null default 0`,
    `alter table tasks add column walltime_seconds ${int} not null default 0`,
  ]).up(db);
  await changeTasks(db as Kysely<Schema>, (parameters) => needsIn(readObject(parameters)));
}

/** The workers that Harvester says it has; and the label of tasks, by which PanDA tells kinds of work apart. */
async function workerStatistics(db: Kysely<unknown>, { int }: ColumnTypes): Promise<void> {
  await statements([
    `create table worker_statistics (
      launcher_id text not null,
      queue text not null,
      harvester_id text not null,
      statistics text not null,
      reported_at ${int} not null,
      primary key (queue, launcher_id, harvester_id))`,
    "alter table tasks add column source_label text not null default 'user'",
  ]).up(db);
  await changeTasks(db as Kysely<Schema>, (parameters) => {
    const { prodSourceLabel } = readObject(parameters);
    return typeof prodSourceLabel === 'string' && prodSourceLabel !== 'user'
      ? { source_label: prodSourceLabel }
      : undefined;
  });
}

const TEMPLATES_AT_ONCE = 100;

/** Writes into each task's row what follows from its parameters; nothing where it is undefined. */
async function changeTasks(
  db: Kysely<Schema>,
  changeOf: (parameters: string) => Updateable<Schema['tasks']> | undefined,
): Promise<void> {
  for (let last = 0; ; ) {
    const tasks = await db
      .selectFrom('tasks')
      .select(['id', 'parameters'])
      .where('id', '>', last)
      .orderBy('id')
      .limit(TEMPLATES_AT_ONCE)
      .execute();
    for (const { id, parameters } of tasks) {
      last = id;
      const change = changeOf(parameters);
      if (change) await db.updateTable('tasks').set(change).where('id', '=', id).execute();
    }
    if (tasks.length < TEMPLATES_AT_ONCE) return;
  }
}

/** A task's needs, which earlier releases had in its parameters alone. Undefined where none were written. */
function needsIn(template: Record<string, unknown>) {
  const number = (name: string, least: number) =>
    Number.isSafeInteger(template[name]) ? Math.max(template[name] as number, least) : least;
  const needs = {
    cores: number('coreCount', 1),
    memory_mb: number('memory', 0),
    walltime_seconds: number('maxWalltimeSeconds', 0),
  };
  return needs.cores > 1 || needs.memory_mb > 0 || needs.walltime_seconds > 0 ? needs : undefined;
}

/** Empty where the row is damaged: its jobs fail when a pilot gets them. */
function readObject(json: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(json) };
  } catch {
    return {};
  }
}

/** What is no longer kept is found by its age. An earlier release's sandbox counts as used when it came. */
function retention({ bytes, int }: ColumnTypes): string[] {
  return [
    `alter table tasks add column removed_at ${int}`,
    `alter table tasks add column files_removed_at ${int}`,
    'create index tasks_ended on tasks (ended_at) where ended_at is not null',
    'create index tasks_with_files on tasks (ended_at) where ended_at is not null and files_removed_at is null',
    `alter table sandboxes add column used_at ${int} not null default 0`,
    'update sandboxes set used_at = created_at',
    'create index sandboxes_used on sandboxes (used_at)',
    `create table audit_stones (
      chain text primary key,
      seq ${int} not null,
      hash text not null,
      cut_at ${int} not null,
      tag ${bytes})`,
  ];
}

/** Servers that run, and the root keys that each of them has: so that none becomes the active one that some server has not got. */
function servers({ int }: ColumnTypes): string[] {
  return [
    `create table servers (
      id text primary key,
      node text not null,
      root_keys text not null,
      seen_at ${int} not null)`,
  ];
}

/**
 * Owners with waiting jobs: a row for each queue (empty for jobs that name none) and need of secrets. The index has the order of their turns, so
 * that the next owner is found in the same time however many wait.
 */
function waitingOwners({ int }: ColumnTypes): string[] {
  return [
    `create table waiting_owners (
      owner_id text not null,
      queue text not null,
      use_secrets ${int} not null,
      turn ${int} not null,
      changes ${int} not null,
      primary key (owner_id, queue, use_secrets))`,
    'create index waiting_owners_in_turn on waiting_owners (queue, use_secrets, turn, owner_id)',
    `insert into waiting_owners (owner_id, queue, use_secrets, turn, changes)
      select owner_id, queue, use_secrets, coalesce((select turn from queue_turns
        where queue_turns.queue = waiting.queue and queue_turns.owner_id = waiting.owner_id), 0), 0
      from (select owner_id, coalesce(queue, '') as queue, use_secrets from jobs where state = 'activated'
        group by owner_id, coalesce(queue, ''), use_secrets) waiting`,
  ];
}
