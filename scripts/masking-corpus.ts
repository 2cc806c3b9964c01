/**
 * Makes the corpus of the masker, test/vectors/masking/, with the programs of this machine.
 *
 *     npm run corpus -- --make [PRODUCER]   runs the programs and writes what they print
 *     npm run corpus -- --check [PRODUCER]  runs them and says which print something else than the corpus has; writes nothing
 *     npm run corpus -- --left              runs nothing: masks what the corpus has anew; git shows the difference
 *     npm run corpus -- --page              makes docs/masking.md of the corpus, as the first and the third do too
 *
 * PRODUCER is the beginning of names: only these programs are run.
 *
 * A program that the machine does not have keeps its cases.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMasker } from '../src/masking/masker.ts';
import { wireName } from '../src/protocol/names.ts';
import { Plaintext } from '../src/protocol/plaintext.ts';
import { TRANSFORMATION_GAPS } from '../test/compat/transformation-gaps.ts';
import { bytesOf, type CorpusCase, readCorpus, textOrBytes, writeCorpus } from '../test/masking/corpus.ts';
import { maskingPage } from '../test/masking/masking-page.ts';
import { GAPS, PRODUCERS, type Producer, SECRETS } from './masking/producers.ts';

const PROGRAM_SECONDS = 120;
const [mode, only = ''] = process.argv.slice(2);

function madeBy({ group, producer, command, secrets, locale = 'C.UTF-8' }: Producer, version: string): CorpusCase[] {
  return secrets.flatMap((name) => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'masking-corpus-'));
    const secret = SECRETS[name];
    const { stdout, status, stderr } = spawnSync('bash', ['-c', command], {
      cwd: folder.path,
      env: {
        PATH: process.env['PATH'],
        HOME: '/nonexistent',
        GOCACHE: join(tmpdir(), 'corpus-go'),
        GO111MODULE: 'off',
        LC_ALL: locale,
        S: secret,
      },
      timeout: PROGRAM_SECONDS * 1000,
    });
    if (status !== 0) {
      console.error(`${producer} (${name}): status ${status}: ${stderr}`);
      return [];
    }
    return [
      {
        group,
        producer,
        version,
        command,
        secret,
        ...textOrBytes('printed', stdout),
        ...textOrBytes('left', masked(secret, stdout)),
      },
    ];
  });
}

function masked(secret: string, printed: Uint8Array): Buffer {
  const stream = createMasker([{ name: wireName('S'), value: new Plaintext(secret) }]).stream();
  return Buffer.concat([...stream.write(printed), ...stream.end()]);
}

/** `undefined` where the machine does not have the program. */
function versionOf({ version }: Producer): string | undefined {
  if (version === undefined) return 'by its documentation';
  try {
    return (
      execFileSync('bash', ['-c', `set -o pipefail; ${version}`], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim() || undefined
    );
  } catch {
    return undefined;
  }
}

const known = readCorpus();
const versions = new Map<string | undefined, string | undefined>();

/** The programs' output as it is now; the earlier one of those that the machine does not have, or that were not asked for. */
function made(): CorpusCase[] {
  return PRODUCERS.flatMap((producer) => {
    if (!versions.has(producer.version)) versions.set(producer.version, versionOf(producer));
    const version = versions.get(producer.version);
    if (version !== undefined && producer.producer.startsWith(only)) return madeBy(producer, version);
    const secrets = producer.secrets.map((name) => SECRETS[name] as string);
    return known.filter((each) => each.producer === producer.producer && secrets.includes(each.secret));
  });
}

function maskedAnew(): CorpusCase[] {
  return known.map(({ left: _, leftBase64: __, gap: ___, ...each }) => {
    const gap = GAPS.find(
      ({ producer, secrets }) =>
        each.producer.startsWith(producer) && secrets.some((name) => SECRETS[name] === each.secret),
    );
    const left = textOrBytes('left', masked(each.secret, bytesOf(each, 'printed')));
    return { ...each, ...left, ...(gap && { gap: gap.why }) };
  });
}

function differences(cases: CorpusCase[]): CorpusCase[] {
  const key = ({ producer, secret }: CorpusCase) => `${producer}\0${secret}`;
  const before = new Map(known.map((each) => [key(each), each]));
  return cases.filter((each) => {
    const old = before.get(key(each));
    return !old || !bytesOf(old, 'printed').equals(bytesOf(each, 'printed'));
  });
}

if (mode === '--make') writeCorpus(made());
else if (mode === '--left') writeCorpus(maskedAnew());
else if (mode === '--check') {
  const changed = differences(made());
  for (const each of changed) console.log(`${each.producer} with ${each.version}: ${bytesOf(each, 'printed')}`);
  process.exitCode = changed.length === 0 ? 0 : 1;
} else if (mode !== '--page') {
  console.error('npm run corpus -- --make [PRODUCER] | --check [PRODUCER] | --left | --page');
  process.exitCode = 2;
}
if (mode !== '--check')
  writeFileSync(join(import.meta.dirname, '../docs/masking.md'), maskingPage(readCorpus(), TRANSFORMATION_GAPS));
