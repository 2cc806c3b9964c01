import type { NamedSecret } from '../src/masking/masker.ts';
import { wireName } from '../src/protocol/names.ts';
import { Plaintext } from '../src/protocol/plaintext.ts';

/** One line in so many holds a secret. */
const LINES_PER_SECRET = 5000;

/** Secrets of the kinds that people have: passwords, hex and base64 tokens, JWTs, private keys, service accounts. */
export function makeSecrets(count: number): NamedSecret[] {
  const random = seeded(1);
  const kinds = [
    () => text(random, 12, `${LETTERS}${DIGITS}!#$%*-_`),
    () => text(random, 40, `${DIGITS}abcdef`),
    () => `ghp_${text(random, 36, LETTERS + DIGITS)}`,
    () => text(random, 43, `${LETTERS}${DIGITS}+/`),
    () => `eyJhbGciOiJSUzI1NiJ9.${text(random, 200, LETTERS + DIGITS)}.${text(random, 86, LETTERS + DIGITS)}`,
    () =>
      `-----BEGIN PRIVATE KEY-----\n${text(random, 320, `${LETTERS}${DIGITS}+/`).replace(/.{64}/g, '$&\n')}-----END PRIVATE KEY-----\n`,
    () =>
      JSON.stringify({
        user: `user-${text(random, 6, LETTERS)}`,
        password: text(random, 20, LETTERS + DIGITS),
        port: 5432,
      }),
  ];
  return Array.from({ length: count }, (_, index) => ({
    name: wireName(`SECRET_${index}`),
    value: new Plaintext((kinds[index % kinds.length] as () => string)()),
  }));
}

/** At least `bytes` of the log of a job of data processing, with a secret here and there. */
export function makeLog(bytes: number, secrets: NamedSecret[]): Buffer {
  const random = seeded(2);
  const hex = (length: number) => text(random, length, `${DIGITS}abcdef`);
  const number = (below: number) => Math.floor(random() * below);
  const kinds = [
    (n: number) =>
      `INFO  reader-${n % 8}: opened root://eos.example.org//data/run${number(9e5)}/events_${hex(8)}.root (${number(4e9)} bytes)`,
    (n: number) =>
      `DEBUG scheduler: task ${n} -> worker ${number(64)} queue=${number(900)} latency=${(random() * 90).toFixed(3)} ms`,
    () =>
      `INFO  http: GET https://api.example.org/v2/datasets/${hex(32)}?page=${number(40)}&size=100 200 ${number(1e5)} "python-requests/2.31"`,
    () => `WARN  cache: evicted ${number(5000)} entries, ${(random() * 100).toFixed(1)} % used, key=${hex(40)}`,
    (n: number) =>
      `{"ts":${1.76e9 + n},"level":"info","msg":"batch finished","batch":${n},"loss":${random().toFixed(6)},"lr":0.0003}`,
    () =>
      `  File "/opt/app/lib/python3.12/site-packages/pipeline/stage_${number(20)}.py", line ${number(900)}, in process`,
    (n: number) => `Epoch ${n % 90}: ${'='.repeat(number(40))}> ${number(100)} % eta 00:${10 + number(49)}`,
  ];
  const parts: string[] = [];
  let size = 0;
  for (let n = 0; size < bytes; n++) {
    const time = `2026-03-${10 + (n % 19)} 12:${10 + (n % 50)}:${10 + ((n * 7) % 50)},${100 + (n % 900)}`;
    const secret = n % LINES_PER_SECRET === 0 ? ` token=${secrets[number(secrets.length)]?.value.reveal()}` : '';
    const line = `${time} ${(kinds[number(kinds.length)] as (n: number) => string)(n)}${secret}\n`;
    parts.push(line);
    size += line.length;
  }
  return Buffer.from(parts.join(''));
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';

function text(random: () => number, length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
