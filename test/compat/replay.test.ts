import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startServer } from '../server/start.ts';
import { type Exchange, scrub } from './recorded.ts';

// Each file is a session of PanDA's unmodified programs with a new server, as scripts/record-requests.ts saw it go well.
const SESSIONS = join(import.meta.dirname, 'recorded');

for (const file of readdirSync(SESSIONS).sort()) {
  test(`what PanDA's programs send is answered as they understood it: ${file}`, async (t) => {
    const server = await startServer(t);
    const tokens: Record<string, string> = {
      USER_TOKEN: await server.userToken('alice'),
      PILOT_TOKEN: await server.pilotToken('LEG', { allowTlsSecrets: true }),
      LAUNCHER_TOKEN: await server.launcherToken(['SLURM']),
    };
    const { host } = new URL(server.url);
    const session = JSON.parse(readFileSync(join(SESSIONS, file), 'utf8')) as Exchange[];
    assert.ok(session.length > 5);
    for (const [place, exchange] of session.entries()) {
      const { status, type, body } = await send(server.url, exchange, tokens);
      const what = `exchange ${place + 1}: ${exchange.method} ${exchange.path}`;
      assert.equal(status, exchange.status, what);
      if (exchange.answer === 'BYTES') assert.doesNotMatch(type, /json/, what);
      else
        assert.deepEqual(knownPart(JSON.parse(scrub(body.toString(), host)), exchange.answer), exchange.answer, what);
    }
  });
}

/** An answer without what those programs have not seen yet, and pass over: more fields of an object. */
function knownPart(answer: unknown, seen: unknown): unknown {
  if (Array.isArray(answer) && Array.isArray(seen)) return answer.map((one, place) => knownPart(one, seen[place]));
  if (!isObject(answer) || !isObject(seen)) return answer;
  const known = Object.entries(answer).filter(([name]) => Object.hasOwn(seen, name));
  return Object.fromEntries(known.map(([name, value]) => [name, knownPart(value, seen[name])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function send(url: string, exchange: Exchange, tokens: Record<string, string>) {
  const { host } = new URL(url);
  const fill = (text: string) => text.replaceAll('HOST', host);
  const { base64, gzip } = exchange;
  const text = Buffer.from(fill(exchange.body ?? ''));
  const body = base64 === undefined ? (gzip ? gzipSync(text) : text) : Buffer.from(base64, 'base64');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(exchange.headers)) {
    headers[name] = value.replace(/^Bearer (\w+)$/, (_, whose: string) => `Bearer ${tokens[whose]}`);
  }
  if (body.length > 0) headers['Content-Length'] = String(body.length);
  return await new Promise<{ status: number; type: string; body: Buffer }>((resolve, reject) => {
    const sent = request(new URL(fill(exchange.path), url), { method: exchange.method, headers }, async (answered) => {
      const type = answered.headers['content-type'] ?? '';
      resolve({ status: answered.statusCode ?? 0, type, body: await buffer(answered) });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
