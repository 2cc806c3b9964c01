import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fencedBlocks } from '../end-to-end/page.ts';
import { freePort } from '../free-port.ts';

const root = join(import.meta.dirname, '..', '..');
const GREETING = /listening on http:.*\n[\s\S]*panda-pilot --queue default/;

test("the README's tour works as it is written, in a fresh shell and an empty home", async () => {
  const tour = fencedBlocks(readFileSync(join(root, 'README.md'), 'utf8'))
    .map(({ lines }) => lines)
    .find((lines) => lines.some((line) => line.startsWith('panda-secrets serve')));
  assert.ok(tour, 'the README has a tour');
  const served = tour.findIndex((line) => line.startsWith('panda-secrets serve')) + 1;

  using clone = mkdtempDisposableSync(join(tmpdir(), 'panda-tour-'));
  for (const name of ['bin', 'src', 'scripts', 'runtime', 'node_modules', 'package.json', 'README.md']) {
    symlinkSync(join(root, name), join(clone.path, name));
  }
  const port = await freePort();
  const script = tour.toSpliced(served, 0, 'until [ -e greeted ]; do sleep 0.1; done');
  const shell = spawn('sh', ['-e', '-c', script.join('\n')], {
    cwd: clone.path,
    env: {
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      HOME: join(clone.path, 'home'),
      TMPDIR: clone.path,
      // The tour's own are the defaults, where another server may listen.
      PANDA_SECRETS_PORT: String(port),
      PANDA_URL_SSL: `http://127.0.0.1:${port}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (GREETING.test(output)) writeFileSync(join(clone.path, 'greeted'), '');
    });
  }
  const status = await new Promise((resolve) => shell.on('close', resolve));

  assert.equal(status, 0, output);
  assert.match(output, /MY_SECRET : random_string\n/);
  assert.match(output, /\{'MY_SECRET': '\*\*\*', '___file___:MY_FILE': '\*\*\*'\}\n/);
  assert.match(output, /MY_SECRET \(1\), MY_FILE \(1\)\n/);
  assert.match(output, /INFO : OK\n$/);
});
