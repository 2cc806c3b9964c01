import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { openPostgres } from '../../src/store/postgres.ts';
import { postgresAddress } from '../../src/store/postgres-address.ts';
import { LOOPBACK, OTHER_HOST } from '../client/certificates.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres.ts';

const PASSWORD = 'the-password';

test('off this machine a connection is TLS that is verified, whatever else the URL asks for', () => {
  for (const mode of ['disable', 'allow', 'prefer', 'require', 'no-verify', 'VERIFY-FULL', 'anything']) {
    for (const more of [`?sslmode=${mode}`, `?sslmode=${mode}&uselibpqcompat=true`]) {
      assert.throws(
        () => postgresAddress(`postgres://panda:${PASSWORD}@db.example.org/panda${more}`),
        (error: Error) =>
          /sslmode=verify-full|one of verify-full/.test(error.message) && !error.message.includes(PASSWORD),
        more,
      );
    }
  }
  assert.throws(() => postgresAddress('postgres://db.example.org/panda?ssl=0'), /sslmode=verify-full/);
  for (const more of ['', '?sslmode=verify-full', '?sslmode=verify-full&sslrootcert=system']) {
    const { ssl, connectionString } = postgresAddress(`postgres://panda:${PASSWORD}@db.example.org/panda${more}`);
    assert.ok(ssl && ssl.rejectUnauthorized === true && ssl.checkServerIdentity === undefined);
    assert.ok(!connectionString.includes('ssl'), 'nothing that the library could read otherwise');
  }
  const elsewhere = 'postgres://localhost/panda?host=db.example.org';
  assert.throws(() => postgresAddress(`${elsewhere}&sslmode=disable`), /db\.example\.org/);
  assert.throws(
    () => postgresAddress('postgres://db.example.org/panda?sslrootcert=/nowhere/ca.pem'),
    /sslrootcert .* \/nowhere\/ca\.pem, which cannot be read \(ENOENT\)/,
  );
  assert.throws(() => postgresAddress('mysql://db.example.org/panda'), /starts with postgres:\/\//);
});

test('on this machine, by a socket or the loopback address, a connection may be plain', () => {
  for (const url of [
    'postgres:///panda?host=/run/postgresql',
    'postgres://127.0.0.1/panda',
    'postgres://[::1]/panda',
  ]) {
    assert.equal(postgresAddress(url).ssl, false);
    assert.ok(postgresAddress(`${url}${url.includes('?') ? '&' : '?'}sslmode=verify-full`).ssl);
  }
});

async function postgresWithTls(t: TestContext): Promise<EmbeddedPostgres | undefined> {
  try {
    const database = await startEmbeddedPostgres({ tls: LOOPBACK });
    t.after(() => database.stop());
    return database;
  } catch (error) {
    t.skip(`PostgreSQL cannot be started here: ${(error as Error).message}`);
    return undefined;
  }
}

test('a real PostgreSQL is spoken to by TLS, and refused with a certificate of another issuer or name', async (t) => {
  const database = await postgresWithTls(t);
  if (!database) return;
  const folder = mkdtempSync(join(tmpdir(), 'panda-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'own.crt'), LOOPBACK.cert);
  writeFileSync(join(folder, 'other.crt'), OTHER_HOST.cert);
  const url = (host: string, mode: string, root: string) =>
    `postgres://postgres@${host}:${database.port}/postgres?sslmode=${mode}&sslrootcert=${join(folder, root)}`;
  const store = await openPostgres(url('127.0.0.1', 'verify-full', 'own.crt'));
  t.after(() => store.close());
  const { rows } = await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(store.db);
  assert.deepEqual(rows, [{ ssl: true }]);

  const refused = /has a certificate that is not trusted for that name \(.*sslrootcert=FILE/;
  await assert.rejects(openPostgres(url('127.0.0.1', 'verify-full', 'other.crt')), refused);
  await assert.rejects(openPostgres(url('localhost', 'verify-full', 'own.crt')), refused);
  await assert.rejects(openPostgres(url('localhost', 'verify-ca', 'other.crt')), refused);
  const byIssuerAlone = await openPostgres(url('localhost', 'verify-ca', 'own.crt'));
  await byIssuerAlone.close();
});

test('a PostgreSQL without TLS gets no password where TLS is asked for', async (t) => {
  const { createServer } = await import('node:net');
  const received: Uint8Array[] = [];
  const server = createServer((socket) => {
    socket.on('data', (bytes) => {
      received.push(Buffer.from(bytes));
      socket.write('N');
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  await assert.rejects(
    openPostgres(`postgres://panda:${PASSWORD}@127.0.0.1:${port}/panda?sslmode=verify-full`),
    /offers no TLS, and its password .*ssl = on/,
  );
  assert.equal(Buffer.concat(received).length, 8, 'the question for TLS, and nothing else');
});
