import { prepared } from '../../src/store/prepared.ts';

/** Locks the owner, and counts. */
export const countOwner = prepared<{ id: string }, { revision: number }>((db, arg) =>
  db
    .updateTable('owners')
    .set((eb) => ({ revision: eb('revision', '+', 1) }))
    .where('id', '=', arg('id'))
    .returning('revision'),
);

/** Answers nothing, so that it waits for the next statement. */
export const addQueue = prepared<{ name: string }, never>((db, arg) =>
  db.insertInto('queues').values({ name: arg('name'), created_at: 1 }),
);
