import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { createMasker, type Masker, maskTransform, type NamedSecret } from '../../src/masking/masker.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';

test('what is printed passes unchanged but for the secret', () => {
  assert.equal(masked('correct-horse')('login with correct-horse: ok\n'), 'login with ***: ok\n');
});

test('a job without secrets prints what it prints', () => {
  assert.equal(masked()('anything at all\n'), 'anything at all\n');
});

test('a secret split over chunks anywhere is masked as in one piece', () => {
  const masker = maskerOf('correct-horse', '{"user": "anna.lindqvist", "pin": "horse-battery"}');
  const log = Buffer.from(
    'a correct-horse-battery b "anna.lindqvist"\nY29ycmVjdC1ob3JzZQ== correct-horscorrect-horse\n',
  );
  const whole = inChunks(masker, [log]);
  assert.equal(whole, 'a *** b "anna.lindqvist"\n*** correct-hors***\n');
  for (let first = 0; first <= log.length; first++) {
    for (let second = first; second <= log.length; second++) {
      const chunks = [log.subarray(0, first), log.subarray(first, second), log.subarray(second)];
      assert.equal(inChunks(masker, chunks), whole, `split at ${first} and ${second}`);
    }
  }
});

test('two streams of one job do not disturb each other', () => {
  const masker = maskerOf('correct-horse');
  const out = masker.stream();
  const err = masker.stream();
  const shown = { out: '', err: '' };
  for (const letter of 'correct-horse') {
    shown.out += text(Buffer.concat(out.write(Buffer.from(letter))));
    shown.err += text(Buffer.concat(err.write(Buffer.from(letter.toUpperCase()))));
  }
  assert.deepEqual(
    { out: shown.out + text(Buffer.concat(out.end())), err: shown.err + text(Buffer.concat(err.end())) },
    { out: '***', err: 'CORRECT-HORSE' },
  );
});

test('a finished line is shown at once, and of an unfinished one all that cannot become a secret', () => {
  const stream = maskerOf('correct-horse').stream();
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('step 1 done\n')))), 'step 1 done\n');
  assert.equal(
    text(Buffer.concat(stream.write(Buffer.from('ends like a secret: correct-\n')))),
    'ends like a secret: correct-\n',
  );
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('copied 40%\r')))), 'copied 40%\r');
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('Password? ')))), 'Password? ');
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('is corr')))), 'is ');
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('osion')))), 'corrosion');
});

test('a complete secret is masked at once, though a longer one may follow', () => {
  const stream = maskerOf('correct', 'correct-horse').stream();
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('is correct')))), 'is ***');
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('-horse.\n')))), '.\n');
});

test('a line without an end comes out at the end of the stream', () => {
  const stream = maskerOf('correct-horse').stream();
  assert.equal(text(Buffer.concat(stream.write(Buffer.from('no line end: correct-hors')))), 'no line end: ');
  assert.equal(text(Buffer.concat(stream.end())), 'correct-hors');
});

test('nothing of two secrets that overlap remains', () => {
  assert.equal(masked('abcdefgh', 'efghijkl')('> abcdefghijkl <'), '> *** <');
  assert.equal(masked('abcdefgh', 'cdef--')('> abcdef-- abcdefgh <'), '> ab*** *** <');
  assert.equal(masked('abcabcabc')('> abcabcabcabcab <'), '> ***ab <');
  assert.equal(masked('aaaaaa')(`> ${'a'.repeat(100)} <`), '> *** <');
});

test('binary output keeps every byte that is not of a secret', () => {
  const noise = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 167 + (index >> 8)) & 0xff));
  const log = Buffer.concat([noise, Buffer.from('correct-horse'), noise]);
  const stream = maskerOf('correct-horse').stream();
  const shown = Buffer.concat([...stream.write(log), ...stream.end()]);
  assert.deepEqual(shown, Buffer.concat([noise, Buffer.from('***'), noise]));
});

test('a thousand secrets are masked at once', () => {
  const secrets = Array.from({ length: 1000 }, (_, index) => `shared-prefix-${(index * 7919).toString(36)}-${index}`);
  const log = secrets.map((secret, index) => `${index}: ${secret} ${Buffer.from(secret).toString('hex')}\n`).join('');
  assert.equal(masked(...secrets)(log), secrets.map((_, index) => `${index}: *** ***\n`).join(''));
});

test('the largest secret is masked in every chunk that it reaches into', () => {
  const secret = Array.from({ length: 1_000_000 }, (_, index) => String.fromCharCode(33 + ((index * index) % 90))).join(
    '',
  );
  const log = Buffer.from(`> ${secret} <\n`);
  const chunks = Array.from({ length: Math.ceil(log.length / 65536) }, (_, index) =>
    log.subarray(index * 65536, (index + 1) * 65536),
  );
  assert.equal(inChunks(maskerOf(secret), chunks), '> *** <\n');
});

test('a secret is masked wherever large chunks cut it, and where they are read on after a held tail', () => {
  const log = Buffer.from(`${'x'.repeat(4090)} correct-horse and ${'y'.repeat(4090)} correct-horse `.repeat(6));
  const whole = masked('correct-horse')(log.toString());
  assert.equal(whole.includes('horse'), false);
  for (let cut = 4080; cut < 4120; cut++) {
    const chunks = [log.subarray(0, cut), log.subarray(cut, 5 * cut), log.subarray(5 * cut)];
    assert.equal(inChunks(maskerOf('correct-horse'), chunks), whole, `cut at ${cut}`);
  }
});

test('bytes in a list of C are masked over its lines, in the middle of a long text', () => {
  const bytes = [...Buffer.from('correct-horse-battery')].map((byte) => `0x${byte.toString(16)}`);
  const list = `  0x00, 0x01, ${bytes.slice(0, 10).join(', ')},\n  ${bytes.slice(10).join(', ')}, 0x02\n`;
  const text = 'an ordinary line of a log\n'.repeat(10);
  const shown = masked('correct-horse-battery')(`${text}${list}${text}`);
  assert.equal(shown, `${text}  0x00, 0x01, ***,\n  ***, 0x02\n${text}`);
});

test('the stream adapter masks a pipeline', async () => {
  const source = Readable.from([Buffer.from('a correct-'), Buffer.from('horse'), Buffer.from(' correct-')]);
  assert.equal(text(await buffer(source.pipe(maskTransform(maskerOf('correct-horse'))))), 'a *** correct-');
});

test('the stream adapter gives on what it shows of a chunk in one piece, between which nothing of another stream can come', async () => {
  const source = Readable.from([Buffer.from('1 correct-horse\n2 correct-horse\n3\n')]);
  const pieces: Buffer[] = await source.pipe(maskTransform(maskerOf('correct-horse'))).toArray();
  assert.deepEqual(pieces.map(text), ['1 ***\n2 ***\n3\n']);
});

test('the masker names the secrets that it cannot mask', () => {
  const masker = createMasker([secret('LONG', 'correct-horse'), secret('SHORT', 'abc'), secret('FLAG', '[true, {}]')]);
  assert.deepEqual(masker.unmaskable, ['SHORT', 'FLAG']);
  assert.equal(inChunks(masker, [Buffer.from('abc [true, {}] correct-horse')]), 'abc [true, {}] ***');
});

test('of a secret that is masked as a whole nothing inside is hidden, and of the others it is', () => {
  const inside = (password: string) => JSON.stringify({ password });
  const masker = createMasker([
    { ...secret('A', inside('correct-horse')), mask: 'whole' },
    { ...secret('B', inside('battery-staple')), mask: 'parts' },
  ]);
  const log = `correct-horse battery-staple ${inside('correct-horse')}`;
  assert.equal(inChunks(masker, [Buffer.from(log)]), 'correct-horse *** ***');
});

/** Masks one text in one chunk. */
function masked(...values: string[]): (log: string) => string {
  return (log) => inChunks(maskerOf(...values), [Buffer.from(log)]);
}

function maskerOf(...values: string[]): Masker {
  return createMasker(values.map((value, index) => secret(`KEY${index}`, value)));
}

function secret(name: string, value: string): NamedSecret {
  return { name: wireName(name), value: new Plaintext(value) };
}

function inChunks(masker: Masker, chunks: Uint8Array[]): string {
  const stream = masker.stream();
  return text(Buffer.concat([...chunks.flatMap((chunk) => stream.write(chunk)), ...stream.end()]));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
