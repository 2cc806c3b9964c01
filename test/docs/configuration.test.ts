import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createPandaSecrets } from '../../src/cli/panda-secrets/program.ts';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { readSettings } from '../../src/site/settings.ts';

/** The table of docs/operator-reference.md, by the name in the file. */
function documented(): Map<string, { flag: string; variable: string; default: string }> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/operator-reference.md'), 'utf8');
  const section = page.split('\n## ').find((text) => text.startsWith('Configuration\n')) ?? '';
  const rows = section.split('\n').filter((line) => /^\| .*`/.test(line));
  return new Map(
    rows.map((row) => {
      const [, flag = '', variable = '', name = '', byDefault = ''] = row
        .split('|')
        .map((cell) => cell.replaceAll('`', '').trim());
      return [name, { flag, variable, default: byDefault }];
    }),
  );
}

/** The settings that the server says it knows, when asked for something else. */
function knownSettings(): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-settings-'));
  const config = join(folder.path, 'config.toml');
  writeFileSync(config, 'no_such_setting = 1\n');
  try {
    readSettings({ config }, {});
  } catch (error) {
    return /known are (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? [];
  }
  return [];
}

test("the operators' table has every setting, under its flag, its variable and its name in the file", () => {
  const table = documented();
  assert.deepEqual([...table.keys()].sort(), knownSettings().sort());
  const serve = createPandaSecrets().commands.find((command) => command.name() === 'serve');
  const flags = serve?.options.map(({ long }) => long ?? '') ?? [];
  for (const [name, { flag, variable }] of table) {
    if (name === 'issuers') continue; // In the file alone.
    assert.equal(variable, `PANDA_SECRETS_${name.toUpperCase()}`);
    const usual = `--${name.replaceAll('_', '-')}`;
    assert.equal(flag, flags.includes(usual) ? usual : '', name);
  }
});

test("the operators' table tells the defaults", () => {
  const settings = readSettings({}, { HOME: '/home/x', XDG_DATA_HOME: '/share' });
  const table = documented();
  const told = (name: string) => table.get(name)?.default;
  assert.deepEqual(
    [told('host'), told('port'), told('vo'), told('log_level'), told('lease_seconds')],
    [
      settings.host,
      String(settings.port),
      settings.vo,
      settings.logLevel,
      String(settings.leaseSeconds ?? LEASE_SECONDS),
    ],
  );
  assert.equal(settings.data, '/share/panda-secrets');
  assert.equal(told('data'), '~/.local/share/panda-secrets');
  for (const name of ['database', 'root_keys', 'tls_cert', 'tls_key', 'trusted_proxy', 'issuers']) {
    assert.match(told(name) ?? '', /^none/, name);
  }
  assert.deepEqual(
    [settings.database, settings.rootKeys, settings.tls, settings.publicUrl, settings.trustedProxies, settings.issuers],
    [undefined, undefined, undefined, undefined, [], []],
  );
});
