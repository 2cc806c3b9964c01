import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { placeOfJoinKey } from '../../src/identity/join-tokens.ts';
import { placeOfAnswerKey } from '../../src/identity/pilot-sessions.ts';
import { newSigningKeys } from '../../src/identity/signing-keys.ts';
import { contextOf } from '../../src/identity/wrapped-key.ts';
import { lengthPrefixed } from '../../src/protocol/length-prefixed.ts';
import { parseWireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { attributesOf } from '../../src/protocol/secret-attributes.ts';
import { dataKeyContext, hashName, importDataKey, newDataKey, secretIdOf } from '../../src/sealing/data-key.ts';
import {
  importInstallationKey,
  installationKeyContext,
  newInstallationKey,
} from '../../src/sealing/installation-key.ts';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import { sealName, sealValue } from '../../src/sealing/value-format.ts';
import { newMark } from '../../src/site/installation-mark.ts';
import type { RowTags, TaggedTable } from '../../src/store/tagged-rows.ts';
import { TAGGED_COLUMNS } from '../../src/store/tagged-rows.ts';
import { isSqlite } from './schema-dump.ts';

type Value = string | number | Uint8Array | null;
export type Row = Record<string, Value>;
export type Rows = Record<string, Row[]>;

/** The owner of everything. */
export const OWNER = '0a0a0a0a-0000-4000-8000-000000000001';
const TIME = Date.UTC(2026, 0, 2);
const FILE = Buffer.from('a sandbox, a log, an output');
const BLOB = createHash('sha256').update(FILE).digest('hex');
const [TASK, JOB, LAUNCHER, DELIVERY] = [100_001, 1, 'launcher-1', 'delivery-1'];

/** A secret of the data set as its owner sees it. */
export interface KnownSecret {
  name: string;
  value: string;
  versions: number;
}

/** An installation as the release of a migration left it: the rows of its database, and its data folder. */
export interface DataSet {
  /** Table by table, each behind those that it refers to. */
  rows: Rows;
  secrets: KnownSecret[];
  /** Of those releases that have tags. */
  tags?: RowTags;
}

/** One set for all: they take longest to make. */
let signingKeys: ReturnType<typeof newSigningKeys> | undefined;

/** All that the rows of a data set are made with. */
interface Making {
  rows: Rows;
  /** The one row of a table, or the one of that number. */
  row(table: string, number?: number): Row;
  addSecret(wire: string, value: string, versions: number, columns: Row): void;
  wrap(key: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  installation: { id: string; bytes: Uint8Array; signingKeys: object };
}

/**
 * The rows that came with each migration: those of its tables, and a value in each of its columns. A migration that adds either adds them here, or a test
 * fails. `fills`: columns whose values the migration itself finds for rows of before, `table.column`; they are compared. `gone`: tables whose rows it deletes.
 */
const STEPS: Record<string, { add?(making: Making): void | Promise<void>; fills?: string[]; gone?: string[] }> = {
  '0001-start': { add: start },
  '0002-operators': {
    add: ({ row }) => {
      row('accounts')['operator'] = 1;
    },
  },
  '0003-system-audit': {
    add: ({ rows }) => {
      const entry = auditEntry('system', 1, null, 'operator', 'queue.add', '{"queue":"SITE_A"}');
      rows['audit']?.push(entry);
      rows['audit_heads'] = [{ chain: 'system', audit_seq: 1, audit_hash: entry['hash'] as Uint8Array }];
    },
  },
  '0004-name-is-one-secret': {
    add: ({ rows }) => {
      for (const row of rows['secrets'] ?? []) {
        row['hashed_as'] = row['kind'] as string;
        delete row['kind'];
      }
    },
  },
  '0005-claimed-accounts': {
    add: ({ row }) => {
      row('accounts')['claimed'] = 1;
      row('password_links')['unclaimed_only'] = 1;
    },
    fills: ['accounts.claimed'],
  },
  '0006-secret-mask': {
    add: ({ addSecret }) => addSecret('WHOLE', 'masked as a whole', 1, { hashed_as: 'string', mask: 'whole' }),
  },
  '0007-task-sandbox': {
    add: ({ row }) => {
      row('tasks')['sandbox'] = SANDBOX;
    },
    fills: ['tasks.sandbox'],
  },
  '0008-fair-turns': {
    add: ({ rows }) => {
      rows['queue_turns'] = [{ queue: 'SITE_A', owner_id: OWNER, turn: 7 }];
    },
  },
  '0009-row-tags': {
    async add({ rows, row, wrap, installation: { id, bytes, signingKeys } }) {
      const context = installationKeyContext(id);
      const key = importInstallationKey({ id, bytes });
      rows['installation_keys'] = [
        { id, slot: 1, root_key_id: rootKeyOf(rows), wrapped_key: await wrap(bytes, context), created_at: TIME },
      ];
      const sealed = key.seal(['signing keys', '1'], JSON.stringify(signingKeys));
      rows['signing_keys'] = [{ slot: 1, revision: 1, sealed }];
      Object.assign(row('owners'), { blocked: 0, tokens_from: 5 });
      Object.assign(row('accounts'), { tokens_from: 6 });
      Object.assign(row('attempts'), { task_id: TASK, owner_id: OWNER });
    },
    fills: ['attempts.task_id', 'attempts.owner_id'],
    gone: ['provider_records'],
  },
  '0010-brought-files': {
    add: ({ rows }) => {
      rows['brought_files'] = [{ owner_id: OWNER, day: 20_455, bytes: 2 ** 33 }];
    },
  },
  '0011-queue-states': {
    add: ({ row }) => {
      Object.assign(row('queues'), { state: 'paused', tls_secrets_since: TIME });
    },
  },
  '0012-site-records': {
    add: ({ rows }) => {
      rows['site_records'] = [{ queue: 'SITE_A', record: 'e30.c2ln', changed_at: TIME }];
    },
  },
  '0013-sealed-secrets': {
    add: ({ rows, row }) => {
      row('secrets')['sealed'] = 0;
      row('job_files')['signature'] = 'e30.c2ln';
      rows['task_grants'] = [{ task_id: TASK, awaited: 0, grant_word: 'e30.c2ln' }];
    },
  },
  '0014-secret-expiry': {
    add: ({ rows, row, addSecret }) => {
      row('secrets')['last_used_at'] = TIME + 3;
      addSecret('LATER', 'ends one day', 1, { hashed_as: 'string', expires: '9999-12-31T23:59:59Z' });
      // Found to have ended while a clock was wrong, say: no job gets it.
      (rows['secrets']?.at(-1) as Row)['expired_at'] = TIME;
    },
    fills: ['secrets.last_used_at'],
  },
  '0015-launchers': {
    add: ({ rows, row }) => {
      rows['launchers'] = [
        {
          id: LAUNCHER,
          name: 'slurm',
          queues: '["SITE_A"]',
          created_at: TIME,
          tokens_from: TIME,
          ends_at: TIME + 1,
          window_start: TIME,
          window_count: 3,
        },
      ];
      Object.assign(row('tasks'), { cores: 8, memory_mb: 16_000, walltime_seconds: 3600 });
      for (const table of ['join_tokens', 'pilots']) rows[table]?.push(batchRow(row(table), 'of a launcher'));
    },
    fills: ['tasks.cores', 'tasks.memory_mb', 'tasks.walltime_seconds'],
  },
  '0016-worker-statistics': {
    add: ({ rows, row }) => {
      const statistics = '{"managed":{"SCORE":{"running":1}}}';
      rows['worker_statistics'] = [
        { launcher_id: LAUNCHER, queue: 'SITE_A', harvester_id: 'harvester', statistics, reported_at: TIME },
      ];
      row('tasks')['source_label'] = 'managed';
    },
    fills: ['tasks.source_label'],
  },
  '0017-retention': {
    add: ({ rows, row }) => {
      Object.assign(row('tasks'), { removed_at: TIME + 8, files_removed_at: TIME + 9 });
      row('sandboxes')['used_at'] = TIME;
      // A chain of an owner who was erased, cut to its end.
      const hash = Buffer.alloc(32, 9);
      rows['audit_heads']?.push({ chain: 'erased', audit_seq: 4, audit_hash: hash });
      rows['audit_stones'] = [{ chain: 'erased', seq: 4, hash: hash.toString('hex'), cut_at: TIME }];
    },
    fills: ['sandboxes.used_at'],
  },
  '0018-servers': {
    add: ({ rows }) => {
      rows['servers'] = [{ id: 'server-1', node: 'node1', root_keys: '[]', seen_at: TIME }];
    },
  },
  '0019-ended-batch-jobs': {
    add: ({ row }) => {
      row('pilots', 1)['batch_ended_at'] = TIME;
    },
  },
  '0020-waiting-owners': {
    add: ({ rows }) => {
      rows['waiting_owners'] = [{ owner_id: OWNER, queue: 'SITE_A', use_secrets: 1, turn: 7, changes: 0 }];
    },
  },
  '0021-earlier-names': {},
};

/** Columns whose values for rows of before the migrations between two releases find themselves. */
export function filledBetween(older: string, newer: string): string[] {
  return stepsAfter(older, newer).flatMap(([, { fills = [] }]) => fills);
}

/** Tables whose rows those migrations delete. */
export function emptiedBetween(older: string, newer: string): string[] {
  return stepsAfter(older, newer).flatMap(([, { gone = [] }]) => gone);
}

function stepsAfter(older: string, newer: string) {
  return Object.entries(STEPS).filter(([name]) => name > older && name <= newer);
}

/**
 * Makes the data folder `data` as a server of the release of migration `release` left it, with the rows of its database.
 *
 * @throws {Error} when nothing is said here of a migration
 */
export async function makeDataSet(data: string, release: string, migrations: readonly string[]): Promise<DataSet> {
  mkdirSync(join(data, 'blobs', BLOB.slice(0, 2)), { recursive: true, mode: 0o700 });
  writeFileSync(join(data, 'blobs', BLOB.slice(0, 2), BLOB), FILE, { mode: 0o600 });
  writeFileSync(join(data, 'reserve'), '', { mode: 0o600 });
  const rootKeys = await openKeyFile(join(data, 'root-keys'), { create: true });
  const dataKeyBytes = newDataKey();
  const dataKey = importDataKey({ id: 'data-key-1', ownerId: OWNER, bytes: dataKeyBytes });
  const rows: Rows = {};
  const secrets: KnownSecret[] = [];
  signingKeys ??= newSigningKeys();
  const installation = {
    id: '0b0b0b0b-0000-4000-8000-000000000002',
    bytes: newInstallationKey(),
    signingKeys: await signingKeys,
  };
  const making: Making = {
    rows,
    row: (table, number = 0) => (rows[table] as Row[])[number] as Row,
    wrap: (key, context) => rootKeys.active.wrap(key, context),
    installation,
    addSecret(wire, text, versions, columns) {
      const name = parseWireName(wire);
      const nameHash = hashName(dataKey, name);
      const id = secretIdOf(nameHash);
      const none = { queues: null, mask: null, expires: null };
      const attributes = attributesOf({ ...none, ...columns } as never);
      const common = { data_key_id: dataKey.id, owner_id: OWNER, size: Buffer.byteLength(text) };
      rows['secrets'] ??= [];
      rows['secrets'].push({
        id,
        ...common,
        name_hash: nameHash,
        name_ciphertext: sealName(dataKey, { nameHash, attributes }, name),
        current_version: versions,
        created_at: TIME,
        updated_at: TIME,
        ...columns,
      });
      rows['secret_versions'] ??= [];
      for (let version = 1; version <= versions; version++) {
        const value = new Plaintext(version === versions ? text : `${text}, before`);
        const ciphertext = sealValue(dataKey, { nameHash, version, attributes }, { name, value });
        rows['secret_versions'].push({ secret_id: id, version, ...common, created_at: TIME, ciphertext });
      }
      secrets.push({ name: wire, value: text, versions });
    },
  };
  rows['owners'] = [ownerRow()];
  const wrapped = await rootKeys.active.wrap(dataKeyBytes, dataKeyContext(dataKey));
  const keyRow = { id: dataKey.id, owner_id: OWNER, root_key_id: rootKeys.active.id, wrapped, created_at: TIME };
  rows['data_keys'] = [{ ...keyRow, active: 1 }];
  for (const name of migrations) {
    if (name > release) break;
    const step = STEPS[name];
    if (!step) throw new Error(`test/store/data-set.ts says nothing of the migration ${name}: add its rows there`);
    await step.add?.(making);
  }
  await wrapPilotKeys(making);
  await rootKeys.close();
  const hasTags = rows['installation_keys'] !== undefined;
  const mark = hasTags ? newMark(installation.id) : { format: 1, ...installation.signingKeys };
  const file = join(data, hasTags ? 'installation.json' : 'signing-key.json');
  writeFileSync(file, JSON.stringify(mark), { mode: 0o600 });
  return { rows, secrets, ...(hasTags && { tags: importInstallationKey(installation).tags }) };
}

/** Inserts the rows by plain SQL, and gives tags to those whose tables have them. */
export async function insertDataSet(database: Kysely<unknown>, { rows, tags }: DataSet): Promise<void> {
  await database.transaction().execute(async (db) => {
    // Made by its migration, with the head of an empty chain.
    if (rows['audit_heads']) await sql`delete from audit_heads`.execute(db);
    for (const [table, list] of Object.entries(rows)) {
      for (const row of list) {
        await sql`insert into ${sql.table(table)} (${sql.join(Object.keys(row).map((name) => sql.ref(name)))})
          values (${sql.join(Object.values(row))})`.execute(db);
      }
      if (tags && table in TAGGED_COLUMNS) await tagTable(db, table as TaggedTable, tags);
    }
    // Ids above those that are there were given once, and their rows deleted.
    for (const table of ['tasks', 'jobs']) await setLastId(db, table, (rows[table]?.[0]?.['id'] as number) + 50);
  });
}

async function setLastId(db: Kysely<unknown>, table: string, last: number): Promise<void> {
  await (isSqlite(db)
    ? sql`update sqlite_sequence set seq = ${last} where name = ${table}`
    : sql`select setval(pg_get_serial_sequence(${table}, 'id'), ${last})`
  ).execute(db);
}

async function tagTable<T extends TaggedTable>(db: Kysely<unknown>, table: T, tags: RowTags): Promise<void> {
  const { key, later = [] }: { key: readonly string[]; later?: readonly string[] } = TAGGED_COLUMNS[table];
  const { rows } = await sql<Row>`select * from ${sql.table(table)}`.execute(db);
  for (const row of rows) {
    const whole = { ...Object.fromEntries(later.map((column) => [column, null])), ...row };
    const place = sql.join(
      key.map((column) => sql`${sql.ref(column)} = ${row[column]}`),
      sql` and `,
    );
    await sql`update ${sql.table(table)} set tag = ${tags.of(table, whole as never)} where ${place}`.execute(db);
  }
}

const SANDBOX = 'jobO.0c0c0c0c-0000-4000-8000-000000000003.tar.gz';
const PARAMETERS = JSON.stringify({
  jobPars: `-j "" --sourceURL https://panda.example.org -a ${SANDBOX} -p run`,
  coreCount: 8,
  memory: 16_000,
  maxWalltimeSeconds: 3600,
  prodSourceLabel: 'managed',
});

function ownerRow(): Row {
  const subject = 'e4b1';
  return { id: OWNER, issuer: 'embedded', subject, display_name: 'Alice', created_at: TIME, revision: 3, audit_seq: 0 };
}

function rootKeyOf(rows: Rows): string {
  return rows['data_keys']?.[0]?.['root_key_id'] as string;
}

function start({ rows, row, addSecret }: Making): void {
  const subject = row('owners')['subject'] as string;
  addSecret('API', 'Grüße 🔑', 3, { kind: 'string', queues: 'SITE_A' });
  addSecret(FILE_NAME, 'the text of a file\n', 1, { kind: 'file' });
  const first = auditEntry(OWNER, 1, null, 'owner', 'secret.set', '{"version":1}');
  const second = auditEntry(OWNER, 2, first['hash'] as Uint8Array, 'owner', 'secret.set', '{"version":2}');
  rows['audit'] = [first, second];
  Object.assign(row('owners'), { audit_seq: 2, audit_hash: second['hash'] });
  const account = { name: 'alice', subject, display_name: 'Alice', created_at: TIME };
  rows['accounts'] = [{ ...account, disabled: 1, password_hash: 'scrypt$...' }];
  rows['password_links'] = [{ token_hash: 'ab'.repeat(32), subject, expires_at: TIME }];
  rows['sign_in_failures'] = [{ name: 'bob', failures: 2, expires_at: TIME }];
  const record = { model: 'RefreshToken', id_hash: 'cd'.repeat(32), payload: 'c2VhbGVk', subject, grant_id: 'ef' };
  rows['provider_records'] = [{ ...record, user_code: 'u', uid: 'i', consumed_at: TIME, expires_at: TIME }];
  rows['queues'] = [{ name: 'SITE_A', allow_tls_secrets: 1, created_at: TIME }];
  const keys = { root_key_id: rootKeyOf(rows), wrapped_key: new Uint8Array(), created_at: TIME };
  rows['join_tokens'] = [
    {
      id: 'token-1',
      queue: 'SITE_A',
      ...keys,
      expires_at: TIME + 5,
      pilot_id: 'pilot-1',
      used_at: TIME,
      refused_uses: 1,
      refused_at: TIME,
      refused_node: 'node2',
      refused_same_key: 0,
    },
  ];
  const pilot = { id: 'pilot-1', queue: 'SITE_A', node: 'node1', public_key: 'cHVibGlj', ...keys, seen_at: TIME };
  rows['pilots'] = [{ ...pilot, expires_at: TIME + 5, ended_at: TIME + 4, ended_by: 'pilot' }];
  rows['pilot_proofs'] = [{ pilot_id: 'pilot-1', jti: 'once', expires_at: TIME }];
  const file = { sha256: BLOB, size: FILE.length, created_at: TIME };
  rows['sandboxes'] = [{ name: SANDBOX, owner_id: OWNER, checksum: 'ad:1', ...file }];
  rows['tasks'] = [
    {
      id: TASK,
      owner_id: OWNER,
      name: 'user.alice/',
      unique_name: 1,
      state: 'done',
      queue: 'SITE_A',
      use_secrets: 1,
      secret_ids: '["x"]',
      parameters: PARAMETERS,
      job_count: 1,
      max_attempts: 3,
      diagnosis: 'all is well',
      created_at: TIME,
      modified_at: TIME,
      ended_at: TIME + 6,
    },
  ];
  const job = {
    id: JOB,
    task_id: TASK,
    owner_id: OWNER,
    serial: 1,
    state: 'finished',
    queue: 'SITE_A',
    use_secrets: 1,
  };
  rows['jobs'] = [{ ...job, attempt: 1, max_attempts: 3, kill_requested: 1, created_at: TIME, modified_at: TIME }];
  const place = { job_id: JOB, attempt: 1 };
  rows['attempts'] = [
    {
      ...place,
      state: 'finished',
      queue: 'SITE_A',
      pilot_id: 'pilot-1',
      node: 'node1',
      lease_seconds: 600,
      lease_until: TIME,
      created_at: TIME,
      started_at: TIME + 1,
      ended_at: TIME + 2,
      exit_code: 0,
      error_code: 1201,
      diagnosis: 'zeile\nzwei "ü"',
    },
  ];
  rows['job_files'] = [{ ...place, name: 'log.txt', kind: 'log', location: 'root://store/log', ...file }];
  const given = { task_id: TASK, ...place, pilot_id: 'pilot-1', queue: 'SITE_A', node: 'node1' };
  rows['deliveries'] = [{ id: DELIVERY, owner_id: OWNER, ...given, at: TIME + 3, sealed_with: 'tls' }];
  rows['delivered_secrets'] = [{ delivery_id: DELIVERY, secret_id: row('secrets')['id'] as string, version: 2 }];
}

const FILE_NAME = '___file___:cert.pem';

/** Another row of a table of pilots', which a launcher's batch job has. */
function batchRow(row: Row, id: string): Row {
  return { ...row, id, launcher_id: LAUNCHER, batch_id: '4711' };
}

/** At the end, since a key is bound to columns that came later. */
async function wrapPilotKeys({ rows, wrap }: Making): Promise<void> {
  const none = { launcher_id: null, batch_id: null };
  for (const row of rows['join_tokens'] ?? []) {
    row['wrapped_key'] = await wrap(randomBytes(32), contextOf(placeOfJoinKey({ ...none, ...row } as never)));
  }
  for (const row of rows['pilots'] ?? []) {
    row['wrapped_key'] = await wrap(randomBytes(32), contextOf(placeOfAnswerKey({ ...none, ...row } as never)));
  }
}

/** An entry of the audit as the first release hashed it. */
function auditEntry(
  chain: string,
  seq: number,
  previous: Uint8Array | null,
  actor: string,
  action: string,
  detail: string,
): Row {
  const fields = lengthPrefixed(
    'panda-secrets audit 1',
    previous ?? '',
    chain,
    String(seq),
    String(TIME),
    actor,
    action,
    detail,
  );
  const hash = createHash('sha256').update(fields).digest();
  return { owner_id: chain, seq, at: TIME, actor, action, detail, previous_hash: previous, hash };
}
