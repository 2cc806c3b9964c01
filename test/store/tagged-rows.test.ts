import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import { createRowTags } from '../../src/sealing/row-tags.ts';
import { type RowTags, TAGGED_COLUMNS, type TaggedTable } from '../../src/store/tagged-rows.ts';
import { eachStore } from '../stores.ts';

/** The columns that may change without a tag: states, times, counts, and what is for show. A column more here needs its reason. */
const NOT_COVERED: Record<TaggedTable, string[]> = {
  owners: ['audit_hash', 'audit_seq', 'created_at', 'display_name', 'revision'],
  accounts: ['created_at'],
  // The count of join tokens within a time.
  launchers: ['ends_at', 'window_count', 'window_start'],
  password_links: [],
  queues: ['created_at'],
  sandboxes: ['created_at', 'used_at'],
  // The sandbox and the needs of jobs are in `parameters`; these columns find tasks of one, and count what waits.
  tasks: [
    'cores',
    'created_at',
    'diagnosis',
    'ended_at',
    'files_removed_at',
    'max_attempts',
    'memory_mb',
    'modified_at',
    'removed_at',
    'sandbox',
    'source_label',
    'state',
    'unique_name',
    'walltime_seconds',
  ],
  attempts: [
    'created_at',
    'diagnosis',
    'ended_at',
    'error_code',
    'exit_code',
    'lease_seconds',
    'lease_until',
    'node',
    'started_at',
    'state',
  ],
  audit_stones: [],
  // A signature is the pilot's own, which the reader checks.
  job_files: ['created_at', 'signature'],
};

const coveredOf = (table: TaggedTable) => {
  const {
    key,
    decides,
    later = [],
  }: { key: readonly string[]; decides: readonly string[]; later?: readonly string[] } = TAGGED_COLUMNS[table];
  return [...key, ...decides, ...later];
};

eachStore(
  'every column of a row that says who gets what is covered by its tag, or named here',
  async (_t, database) => {
    const { db } = await database.open();
    const tables = await db.introspection.getTables();
    const tagged = tables.filter(({ columns }) => columns.some(({ name }) => name === 'tag'));
    assert.deepEqual(tagged.map(({ name }) => name).sort(), Object.keys(TAGGED_COLUMNS).sort());
    for (const { name, columns } of tagged) {
      const covered = [...coveredOf(name as TaggedTable), 'tag'];
      const left = columns.map((column) => column.name).filter((column) => !covered.includes(column));
      assert.deepEqual(left.sort(), NOT_COVERED[name as TaggedTable], name);
    }
  },
);

test('a change of any column that a tag covers is seen, and so is a tag of another row, table or key', () => {
  const tags = tagsUnder(1);
  for (const table of Object.keys(TAGGED_COLUMNS) as TaggedTable[]) {
    const columns = coveredOf(table);
    const row = Object.fromEntries(columns.map((column, n) => [column, n % 2 ? n : `text ${n}`]));
    const { of, check } = tags as unknown as Record<keyof RowTags, (table: string, row: object) => Uint8Array>;
    const tag = of(table, row);
    assert.doesNotThrow(() => check(table, { ...row, tag }));
    for (const column of columns) {
      for (const value of ['another', 99, null, String(row[column]) === row[column] ? 0 : String(row[column])]) {
        assert.throws(
          () => check(table, { ...row, [column]: value, tag }),
          { code: 'ERR_TAMPERED' },
          `${table} ${column}`,
        );
      }
    }
    for (const none of [null, new Uint8Array(), tag.subarray(0, 16), new Uint8Array(32)]) {
      assert.throws(() => check(table, { ...row, tag: none }), { code: 'ERR_TAMPERED' });
    }
    assert.throws(() => tagsUnder(2).check(table, { ...row, tag } as never), { code: 'ERR_TAMPERED' });
  }
});

function tagsUnder(byte: number): RowTags {
  return createRowTags(createSecretKey(Buffer.alloc(32, byte)));
}
