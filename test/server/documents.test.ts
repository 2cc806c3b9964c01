import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from './start.ts';

const documents = globSync('**/*.md', { cwd: join(import.meta.dirname, '../../docs') });

test('the documents are pages, whose links and pictures are there', async (t) => {
  const server = await startServer(t);
  const pages = new Map<string, string>();
  for (const file of documents) {
    const path = `/docs/${file.replace(/\.md$/, '')}`;
    const response = await fetch(`${server.url}${path}`);
    const page = await response.text();
    assert.equal(response.status, 200, path);
    assert.doesNotMatch(page, /<script|\son\w+=|javascript:/i);
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
    pages.set(path, page);
  }
  for (const [path, page] of pages) {
    for (const [, target = ''] of page.matchAll(/(?:href|src)="([^"]+)"/g)) {
      const { origin, pathname, hash } = new URL(target, `${server.url}${path}`);
      if (origin !== server.url) continue;
      const to = pages.get(pathname);
      if (to !== undefined && hash)
        assert.ok(to.includes(`id="${decodeURIComponent(hash.slice(1))}"`), `${path}: ${target}`);
      else if (to === undefined) assert.equal((await fetch(`${origin}${pathname}`)).status, 200, `${path}: ${target}`);
    }
  }
});

test('nothing but the documents is read, whatever the address says', async (t) => {
  const { url } = await startServer(t);
  for (const path of [
    '../package.json',
    '..%2fpackage.json',
    '%2e%2e/README',
    '/etc/passwd',
    'none',
    'images',
    'user.md.md',
    '%00',
  ]) {
    const response = await fetch(`${url}/docs/${path}`, { headers: { accept: 'text/html' } });
    assert.equal(response.status, 404, path);
  }
});

test('a picture that is opened by itself runs nothing', async (t) => {
  const { url } = await startServer(t);
  const response = await fetch(`${url}/docs/images/secrets.svg`);
  assert.equal(response.headers.get('content-type'), 'image/svg+xml');
  assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; .*sandbox$/);
});
