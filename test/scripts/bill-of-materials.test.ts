import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { billOfMaterials } from '../../scripts/build/bill-of-materials.ts';
import { bundle } from '../../scripts/build/bundles.ts';
import { shippedPackages } from '../../scripts/build/shipped-packages.ts';

const ROOT = join(import.meta.dirname, '../..');

test('the bill of materials lists what the bundles contain, each once, and no tool of the development', async () => {
  const packages = shippedPackages(await bundle(ROOT), ROOT);
  const text = billOfMaterials({ name: 'panda-secrets', version: '1.2.3' }, packages);
  assert.equal(text, billOfMaterials({ name: 'panda-secrets', version: '1.2.3' }, packages), 'the same each time');
  const bill = JSON.parse(text);
  assert.equal(`${bill.bomFormat} ${bill.specVersion}`, 'CycloneDX 1.6');
  assert.equal(bill.metadata.component.purl, 'pkg:npm/panda-secrets@1.2.3');
  const purls: string[] = bill.components.map(({ purl }: { purl: string }) => purl.replace(/@[^@]+$/, ''));
  for (const name of ['fastify', 'pg', 'hpke', '%40fastify/multipart'])
    assert.ok(purls.includes(`pkg:npm/${name}`), name);
  for (const name of ['esbuild', 'typescript', 'fast-check']) assert.ok(!purls.includes(`pkg:npm/${name}`), name);
  const references = bill.components.map((component: { 'bom-ref': string }) => component['bom-ref']);
  assert.equal(new Set(references).size, references.length);
});
