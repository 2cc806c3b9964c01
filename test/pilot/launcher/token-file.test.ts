import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { programWords } from '../../programs.ts';
import { temporaryFolder } from '../folders.ts';

test("a launcher's token that others can read is refused, and nothing starts", async (t) => {
  const folder = await temporaryFolder(t);
  const [config, token] = [join(folder, 'launcher.toml'), join(folder, 'token')];
  // Nobody listens there.
  writeFileSync(config, 'queue = "Q"\nserver = "http://127.0.0.1:1"\ntoken_file = "token"\n');
  writeFileSync(token, 'x\n');
  const [node, ...words] = programWords('panda-pilot');
  for (const mode of [0o644, 0o640, 0o604, 0o620]) {
    chmodSync(token, mode);
    const ran = spawnSync(node, [...words, 'launch', '--batch', 'slurm', '--config', config], {
      encoding: 'utf8',
      timeout: 300_000,
    });
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /must be this user's own, and nobody else's to read: chmod 600/);
    assert.doesNotMatch(ran.stderr, /keeps pilots of queue/);
  }
});

test('a folder for tokens that others can enter is refused at the start', async (t) => {
  const folder = await temporaryFolder(t);
  const config = join(folder, 'launcher.toml');
  const lines = [
    'queue = "Q"',
    'server = "http://127.0.0.1:1"',
    'token_file = "token"',
    '[slurm]',
    'hand_over = "folder"',
  ];
  writeFileSync(config, [...lines, 'token_folder = "tokens"', ''].join('\n'));
  writeFileSync(join(folder, 'token'), 'x\n', { mode: 0o600 });
  mkdirSync(join(folder, 'tokens'));
  chmodSync(join(folder, 'tokens'), 0o750);
  const [node, ...words] = programWords('panda-pilot');
  const ran = spawnSync(node, [...words, 'launch', '--batch', 'slurm', '--config', config], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.notEqual(ran.status, 0);
  assert.match(ran.stderr, /token_folder ".*" must be a folder of this user that nobody else can enter/);
  assert.doesNotMatch(ran.stderr, /keeps pilots of queue/);
});
