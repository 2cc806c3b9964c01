/** A change as Kysely builds it, before it runs. */
interface Change {
  executeTakeFirst(): Promise<Partial<Record<Counted, bigint | undefined>> | undefined>;
}

type Counted = 'numUpdatedRows' | 'numDeletedRows' | 'numInsertedOrUpdatedRows';

/**
 * Makes a change of at most one row: of several such changes at the same moment, on whichever servers, its condition lets one
 * through, which is told true.
 */
export async function changesOneRow(change: Change): Promise<boolean> {
  const { numUpdatedRows, numDeletedRows, numInsertedOrUpdatedRows } = (await change.executeTakeFirst()) ?? {};
  return (numUpdatedRows ?? numDeletedRows ?? numInsertedOrUpdatedRows) === 1n;
}
