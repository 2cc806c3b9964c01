import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { ShippedPackage } from '../../scripts/build/shipped-packages.ts';
import { type Advisories, advisoriesFor } from '../../scripts/check/advisories.ts';

const SHIPPED = [packageOf('left', '1.0.0'), packageOf('left', '2.0.0'), packageOf('@of/right', '3.0.0')];

test('an advisory on one of two shipped versions of a package is found, and each is asked about', async () => {
  const advisory = { id: 1, title: 'It falls over', url: 'https://example.org/1', severity: 'low' };
  const { advisories, asked } = await askRegistry({ left: [{ ...advisory, vulnerable_versions: '<2' }] });
  assert.deepEqual(asked, { left: ['1.0.0', '2.0.0'], '@of/right': ['3.0.0'] });
  assert.deepEqual(advisories, { answered: true, lines: ['left <2: It falls over (https://example.org/1)'] });
});

test('no advisory is no line', async () => {
  assert.deepEqual((await askRegistry({})).advisories, { answered: true, lines: [] });
});

test('a registry that does not answer is not taken for one without advisories', async () => {
  const { advisories } = await askRegistry(undefined);
  assert.ok(!advisories.answered && /405/.test(advisories.reason), JSON.stringify(advisories));
});

/** @param answer a registry's knowledge; without it, it refuses */
async function askRegistry(answer: object | undefined): Promise<{ advisories: Advisories; asked: unknown }> {
  let asked: unknown;
  const registry = createServer(async (request, response) => {
    const body = await buffer(request);
    if (request.method !== 'POST' || !answer) return response.writeHead(405).end();
    asked = JSON.parse((request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString());
    return response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  using root = mkdtempDisposableSync(join(tmpdir(), 'advisories-'));
  writeFileSync(join(root.path, '.npmrc'), 'audit=false\n');
  process.env['npm_config_registry'] = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
  try {
    return { advisories: await advisoriesFor(SHIPPED, root.path), asked };
  } finally {
    registry.close();
  }
}

function packageOf(name: string, version: string): ShippedPackage {
  return { name, version, manifest: {}, folder: `node_modules/${name}` };
}
