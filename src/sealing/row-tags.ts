import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { Tampered } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { type RowTags, TAGGED_COLUMNS, type TaggedFields, type TaggedTable } from '../store/tagged-rows.ts';

/**
 * Tags of rows: HMAC-SHA-256 over the table's name and the columns that `TAGGED_COLUMNS` lists, in their order, each with its
 * length in front, and behind them the `later` ones that are not null, each after its name. A text, a number and nothing are told
 * apart.
 *
 * @param key 256 bits, used for nothing else
 */
export function createRowTags(key: KeyObject): RowTags {
  function tagOf<T extends TaggedTable>(table: T, row: TaggedFields<T>): Buffer {
    const { key: place, decides, later = [] }: Columns = TAGGED_COLUMNS[table];
    const values = row as Record<string, unknown>;
    const fields: string[] = ['panda-secrets row 1', table];
    for (const column of place) fields.push(fieldOf(values[column]));
    for (const column of decides) fields.push(fieldOf(values[column]));
    for (const column of later) if (values[column] !== null) fields.push(column, fieldOf(values[column]));
    return createHmac('sha256', key)
      .update(lengthPrefixed(...fields))
      .digest();
  }

  return {
    of: tagOf,
    check(table, row) {
      const { tag } = row;
      const expected = tagOf(table, row);
      if (tag?.length === expected.length && timingSafeEqual(tag, expected)) return;
      const values = row as Record<string, unknown>;
      const which = TAGGED_COLUMNS[table].key.map((column) => String(values[column])).join(', ');
      throw new Tampered(table, which);
    },
  };
}

interface Columns {
  key: readonly string[];
  decides: readonly string[];
  later?: readonly string[];
}

function fieldOf(value: unknown): string {
  if (value === null) return '-';
  if (typeof value === 'string') return `"${value}`;
  if (typeof value === 'number') return String(value);
  throw new TypeError(`a tag covers texts and whole numbers, not ${typeof value}`);
}
