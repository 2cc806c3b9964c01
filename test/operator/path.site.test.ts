import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Block, fencedBlocks, isAnswer } from '../end-to-end/page.ts';
import { type Machine, startMachines, whyNoMachines } from './machines.ts';

const PAGE = 'docs/operator.md';
const page = readFileSync(join(import.meta.dirname, '../..', PAGE), 'utf8');

/** The Debian package of a release, and a storage that speaks S3. */
const debianPackage = process.env['PANDA_TEST_DEBIAN_PACKAGE'];
const storage = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'versitygw'))
  .find((path) => existsSync(path));

const MACHINES = [
  { name: 'desk', address: '10.0.0.10' },
  {
    name: 'panda1',
    address: '10.0.0.11',
    services: ['nginx', 'postgresql'],
    // As apt leaves it, whatever became of it here.
    prepare: `rm -f /var/lib/postgresql/*/main/postmaster.pid
for cluster in /etc/postgresql/*; do
  pg_dropcluster $(basename $cluster) main
  pg_createcluster $(basename $cluster) main > /dev/null
done`,
  },
  { name: 'panda2', address: '10.0.0.12' },
  { name: 'node1', address: '10.0.0.21' },
  { name: 's3', address: '10.0.0.31' },
];
const NAMES = { 'panda.example.org': 'panda1', 'db.example.org': 'panda1', 's3.example.org': 's3' };

test(`${PAGE} works as it is written, from top to bottom`, { skip: whyNot(), timeout: 1_200_000 }, async (t) => {
  const machines = await startMachines(t, MACHINES, NAMES);
  const at = (name: string) => machines.get(name) as Machine;
  await at('desk').takes(debianPackage as string);

  const blocks = fencedBlocks(page);
  for (const [index, block] of blocks.entries()) {
    if (block.language !== 'sh') continue;
    const step = stepOf(block);
    if (step === '5' && stepOf(blocks[index - 1] as Block) !== '5') await startStorage(at('s3'), at('desk'));
    const name = /^# on (\w+)$/.exec(block.lines[0] ?? '')?.[1] ?? '';
    assert.ok(machines.has(name), `${PAGE}:${block.line}: the block does not begin with "# on" and a machine`);
    const type = () => typeBlock(t, at(name), block, blocks[index + 1]);
    if (step === '10') await losesNoRequest(at('desk'), type);
    else await type();
  }
});

async function typeBlock(t: TestContext, machine: Machine, block: Block, next: Block | undefined): Promise<void> {
  const place = `${PAGE}:${block.line}`;
  const started = performance.now();
  const { status, output: all } = await machine.type(block.lines.join('\n'));
  t.diagnostic(`${place}: ${((performance.now() - started) / 1000).toFixed(1)} s on ${machine.name}`);
  const output = all.replaceAll('\r\n', '\n').replace(/[^\n]*\r/g, ''); // As a terminal shows it.
  assert.equal(status, 0, `${place}: ${output}`);
  if (next?.language !== 'text' || isAnswer(next.lines, output)) return;
  assert.equal(output, `${next.lines.join('\n')}\n`, `${place}: what one sees`);
}

/** The number of the step that a block stands in. */
function stepOf({ line }: Block): string {
  const above = page.split('\n').slice(0, line);
  return /^## (\d+)\./.exec(above.findLast((text) => text.startsWith('## ')) ?? '')?.[1] ?? '';
}

/** The site's storage of the page, with a certificate of its CA, and the bucket and the credentials that the page has. */
async function startStorage(machine: Machine, desk: Machine): Promise<void> {
  const variable = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(page)?.[1] ?? '';
  await machine.takes(storage as string);
  const { status, output } = await desk.type(`
cd ca
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=s3 -keyout s3.key -out s3.csr
openssl x509 -req -in s3.csr -CA ca.pem -CAkey ca.key -days 9 -out s3.pem -extfile <(echo subjectAltName=DNS:s3.example.org)
scp -q s3.pem s3.key s3:
ssh s3 'mkdir -p buckets/panda meta; chmod 755 versitygw
  systemd-run --quiet --unit=storage --working-directory=/root -E ROOT_ACCESS_KEY_ID=${variable('AWS_ACCESS_KEY_ID')} \
    -E ROOT_SECRET_ACCESS_KEY=${variable('AWS_SECRET_ACCESS_KEY')} \
    /root/versitygw --port :443 --cert /root/s3.pem --key /root/s3.key --quiet --keep-alive posix --sidecar /root/meta /root/buckets'
curl -s --cacert ca.pem --retry 100 --retry-delay 1 --retry-connrefused https://s3.example.org > /dev/null`);
  assert.equal(status, 0, output);
}

/** Installs a newer package while a user asks for secrets all the time, through nginx. */
async function losesNoRequest(desk: Machine, install: () => Promise<void>): Promise<void> {
  const { status, output } = await desk.type(`
dpkg-deb --raw-extract panda-secrets_*.deb newer
sed -i 's/^Version: .*/&+newer/' newer/DEBIAN/control
mkdir new && dpkg-deb -Zzstd -z1 --build newer new > /dev/null && rm -r newer`);
  assert.equal(status, 0, output);
  const asking = desk.start([
    'bash',
    '-c',
    `. ./alice.env
while [ ! -e upgraded ]; do
  curl -sS -m 60 -o /dev/null -w '%{http_code}\\n' --cacert $SSL_CERT_FILE -H "Authorization: Bearer $PANDA_AUTH_ID_TOKEN" \
    $PANDA_URL_SSL/api/v1/creds/list_user_secrets 2>&1
done`,
  ]);
  let answers = '';
  asking.stdout?.setEncoding('utf8').on('data', (text: string) => {
    answers += text;
  });
  const ended = new Promise((resolve) => asking.once('close', resolve));
  await install();
  await desk.type('touch upgraded');
  await ended;
  const all = answers.trim().split('\n');
  assert.ok(all.length > 20, `too few requests to tell: ${all.length}`);
  assert.deepEqual([...new Set(all)], ['200']);
}

function whyNot(): string | false {
  if (!debianPackage) return 'PANDA_TEST_DEBIAN_PACKAGE names no package to install (npm run release makes one)';
  if (!existsSync(debianPackage)) return `${debianPackage} is not there`;
  if (!storage) return 'versitygw is not installed (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)';
  for (const program of ['/usr/sbin/nginx', '/usr/bin/pg_createcluster', '/usr/bin/age', '/usr/bin/jq']) {
    if (!existsSync(program)) return `${program} is not installed`;
  }
  return whyNoMachines() ?? false;
}
