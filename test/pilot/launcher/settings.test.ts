import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readLauncherSettings } from '../../../src/pilot/launcher/settings.ts';
import { slurmScript } from '../../../src/pilot/launcher/slurm-script.ts';
import { temporaryFolder } from '../folders.ts';

const LEAST = 'queue = "SLURM"\ntoken_file = "launcher.token"\n';

async function reading(t: TestContext, text: string) {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'launcher.toml');
  writeFileSync(file, text);
  return { folder, read: () => readLauncherSettings(file) };
}

test('the least file names a queue and a token', async (t) => {
  const { folder, read } = await reading(t, LEAST);
  const { tokenFile, name, pilot, limits, slurm } = read();
  assert.equal(tokenFile, join(folder, 'launcher.token'));
  assert.equal(name, 'panda-pilot-SLURM');
  assert.deepEqual([pilot.cores, pilot.slots, limits.maxQueued, slurm.handOver], [1, 1, 10, 'sbcast']);
});

for (const [what, text, told] of [
  ['no queue', 'token_file = "t"', /"queue" in .* is missing: the name of a queue/],
  ['a misspelt key', `${LEAST}partion = "x"`, /"partion" in .* is not known; there are queue, server, .*\[slurm\]/],
  [
    'a misspelt key of Slurm',
    `${LEAST}[slurm]\npartion = "x"`,
    /"partion" of \[slurm\] in .* is not known; there are partition/,
  ],
  ['a number as text', `${LEAST}cores = "4"`, /"cores" in .* must be a whole number from 1/],
  ['no cores', `${LEAST}cores = 0`, /"cores" in .* must be a whole number from 1/],
  ['plain http elsewhere', `${LEAST}server = "http://panda.example.org"`, /"server" in .* must be the address .*https/],
  [
    'a line break in the setup',
    `${LEAST}[slurm]\nsetup = ["a\\nb"]`,
    /"setup" of \[slurm\] in .* must be a list of lines/,
  ],
  [
    'an option that exports the environment',
    `${LEAST}[slurm]\nextra = ["--export=ALL"]`,
    /has "--export=ALL", which the launcher sets itself/,
  ],
  ...['--arr=0-9', '--expo=ALL', '--mem-per-cpu=1', '-N2', '-t1', '-n4', '-a0-9', '-kN2', '-H'].map(
    (option) =>
      [
        `the option ${option}`,
        `${LEAST}[slurm]\nextra = ["--constraint=avx2", "-L", "${option}"]`,
        new RegExp(`has "${option}", which the launcher sets itself`),
      ] as const,
  ),
  [
    'an option with two lines',
    `${LEAST}[slurm]\nextra = ["--x=1\\n#SBATCH --export=ALL"]`,
    /"extra" of \[slurm\] in .* must be a list of options/,
  ],
  ['a shared folder without its name', `${LEAST}[slurm]\nhand_over = "folder"`, /"token_folder" must name it/],
  ['another way to hand over', `${LEAST}[slurm]\nhand_over = "export"`, /must be "sbcast" or "folder"/],
  ['no TOML', 'queue = ', /the launcher's file .*: /],
] as const) {
  test(`${what} is named, with what is allowed`, async (t) => {
    const { read } = await reading(t, text);
    assert.throws(read, { code: 'ERR_MISCONFIGURED', message: told });
  });
}

/** The keys that a file may have, by the message about one that it may not. */
function known(t: TestContext, text: string): Promise<string[]> {
  return reading(t, `${text}no_such_key = 1`).then(({ read }) => {
    try {
      read();
    } catch (error) {
      return /there are (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? [];
    }
    return [];
  });
}

test('the page has every key, with its default', async (t) => {
  const clusters = readFileSync(join(import.meta.dirname, '../../../docs/clusters.md'), 'utf8');
  const page = clusters.split('\n## ').find((text) => text.startsWith("The launcher's file\n")) ?? '';
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.*?) \| /gm)].map(([, key = '', byDefault = '']) => ({
    key,
    byDefault,
  }));
  const own = (await known(t, LEAST)).filter((key) => key !== 'the table [slurm]');
  const slurm = await known(t, `${LEAST}[slurm]\n`);
  assert.deepEqual(
    rows.map(({ key }) => key),
    [...own, ...slurm],
  );
  // As the page says that they are when they are left out.
  const line = ({ key, byDefault }: { key: string; byDefault: string }) => {
    const [, value] = /^`(\d+|\[.*\]|[a-z]+|\/\S+)`$/.exec(byDefault) ?? [];
    if (value === undefined || value === 'cores') return [];
    return [`${key} = ${/^[\d[]/.test(value) ? value : JSON.stringify(value)}`];
  };
  const written = [...rows.slice(0, own.length).flatMap(line), '[slurm]', ...rows.slice(own.length).flatMap(line)];
  assert.ok(written.length > 15);
  const [least, whole] = [await reading(t, LEAST), await reading(t, `${LEAST}${written.join('\n')}`)];
  assert.deepEqual({ ...whole.read(), tokenFile: '' }, { ...least.read(), tokenFile: '' });
});

test('a script has its options in front of its commands, and quotes what a shell would read', async (t) => {
  const { read } = await reading(t, `${LEAST}[slurm]\nextra = ["--constraint=a&b"]\nsetup = ["module load node"]`);
  const { slurm } = read();
  const pilot = {
    name: 'p',
    cores: 4,
    memoryMB: 16_000,
    minutes: 60,
    gpus: 1,
    extra: slurm.extra,
    argv: ['/opt/a b', "it's"],
  };
  const lines = slurmScript(pilot, '0123456789abcdef', slurm).trimEnd().split('\n');
  assert.ok(lines.slice(1, -3).every((line) => line.startsWith('#SBATCH --')));
  assert.ok(lines.includes('#SBATCH --gpus=1') && lines.includes('#SBATCH --constraint=a&b'));
  // What the site adds comes before what must hold.
  assert.ok(lines.indexOf('#SBATCH --export=NONE') > lines.indexOf('#SBATCH --constraint=a&b'));
  assert.equal(lines.at(-2), 'module load node');
  assert.equal(
    lines.at(-1),
    `exec '/opt/a b' 'it'\\''s' --await-token 900 --token-file /dev/shm/panda-pilot-token-0123456789abcdef`,
  );
});
