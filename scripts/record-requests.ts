// Records what PanDA's own programs send to a server, and what they are answered, for test/compat/: stands between the two.
//
//   node scripts/record-requests.ts SERVER_URL PORT FILE
//
// Ctrl-C writes the file. Tokens, hosts, times and paths are replaced; read the file before you commit it.

import { writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { type Exchange, scrub } from '../test/compat/recorded.ts';

const [server = '', port = '', file = ''] = process.argv.slice(2);
const host = `127.0.0.1:${port}`;
const recorded: Exchange[] = [];

createServer(async (incoming, response) => {
  const body = await buffer(incoming);
  const { method = '', url = '', headers, rawHeaders } = incoming;
  const forwarded = request(new URL(url, server), { method, headers }, async (answered) => {
    const answer = await buffer(answered);
    const status = answered.statusCode ?? 500;
    recorded.push({
      method,
      path: scrub(url, host),
      headers: headersOf(rawHeaders),
      ...bodyOf(body),
      status,
      answer: answerOf(answer, answered.headers['content-type']),
    });
    response.writeHead(status, answered.headers).end(answer);
  });
  forwarded.end(body);
}).listen(Number(port), '127.0.0.1', () => console.log(`recording at http://${host}`));

process.on('SIGINT', () => {
  writeFileSync(file, `${JSON.stringify(recorded, null, 2)}\n`);
  process.exit();
});

function headersOf(rawHeaders: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const [name = '', value = ''] = rawHeaders.slice(place, place + 2);
    if (!/^(host|content-length|connection)$/i.test(name)) kept[name] = scrub(withoutToken(value), host);
  }
  return kept;
}

function withoutToken(header: string): string {
  const claims = /^Bearer [^.]+\.([^.]+)\./.exec(header)?.[1];
  if (claims === undefined) return header;
  const subject = Buffer.from(claims, 'base64url').toString();
  if (subject.includes('"launcher:')) return 'Bearer LAUNCHER_TOKEN';
  return subject.includes('"pilot:') ? 'Bearer PILOT_TOKEN' : 'Bearer USER_TOKEN';
}

function bodyOf(body: Buffer): Pick<Exchange, 'body' | 'base64' | 'gzip'> {
  if (body.length === 0) return {};
  if (body[0] === 0x1f && body[1] === 0x8b) return { body: scrub(gunzipSync(body).toString(), host), gzip: true };
  const text = body.toString('utf8');
  return Buffer.from(text).equals(body) ? { body: scrub(text, host) } : { base64: body.toString('base64') };
}

function answerOf(answer: Buffer, type = ''): unknown {
  return type.startsWith('application/json') ? JSON.parse(scrub(answer.toString(), host)) : 'BYTES';
}
