import type { TestContext } from 'node:test';
import pg from 'pg';
import type { Statement } from '../src/store/postgres-batch.ts';

/** The statements that go to PostgreSQL from now on, until the mocks of the test are restored. */
export function seenStatements(t: TestContext): Statement[] {
  const seen: Statement[] = [];
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  t.mock.method(pg.Client.prototype, 'query', function (this: pg.Client, ...args: unknown[]) {
    const [{ statements }] = args as [{ statements?: Statement[] }];
    if (statements) seen.push(...statements);
    return query.apply(this, args);
  });
  return seen;
}
