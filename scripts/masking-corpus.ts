/**
 * Makes the corpus of the masker, test/vectors/masking/, with the programs of this machine.
 *
 *     npm run corpus -- --make [PRODUCER]   runs the programs and writes what they print
 *     npm run corpus -- --check [PRODUCER]  runs them and says which print something else than the corpus has; writes nothing
 *     npm run corpus -- --left              runs nothing: masks what the corpus has anew; git shows the difference
 *
 * PRODUCER is the beginning of names: only these programs are run.
 *
 * A program that the machine does not have keeps its cases.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMasker } from '../src/masking/masker.ts';
import { wireName } from '../src/protocol/names.ts';
import { Plaintext } from '../src/protocol/plaintext.ts';
import { bytesOf, type CorpusCase, readCorpus, textOrBytes, writeCorpus } from '../test/masking/corpus.ts';
import { PRODUCERS, type Producer, SECRETS } from './masking/producers.ts';

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
  return Buffer.concat([Buffer.from(stream.write(printed)), stream.end()]);
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
const made =
  mode === '--left'
    ? known.map((each) => {
        const { left: _, leftBase64: __, ...rest } = each;
        return { ...rest, ...textOrBytes('left', masked(each.secret, bytesOf(each, 'printed'))) };
      })
    : PRODUCERS.flatMap((producer) => {
        if (!versions.has(producer.version)) versions.set(producer.version, versionOf(producer));
        const version = versions.get(producer.version);
        const before = known.filter((each) => each.producer === producer.producer);
        return version === undefined || !producer.producer.startsWith(only) ? before : madeBy(producer, version);
      });
const key = ({ producer, secret }: CorpusCase) => `${producer}\0${secret}`;
const before = new Map(known.map((each) => [key(each), each]));
let different = 0;
for (const each of made) {
  const old = before.get(key(each));
  if (old && bytesOf(old, 'printed').equals(bytesOf(each, 'printed'))) continue;
  different += 1;
  if (mode === '--check') console.log(`${each.producer} with ${each.version}: ${bytesOf(each, 'printed')}`);
}
console.log(`${made.length} cases, ${different} printed otherwise than before`);
if (mode === '--check') process.exitCode = different === 0 ? 0 : 1;
else writeCorpus(made);
