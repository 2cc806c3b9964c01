/**
 * Measures the server's memory over many requests of many owners: gets and sets in turn, spread over all of them.
 *
 *     npm run build && npm run bench:memory [-- --owners 100000] [--secrets 1] [--requests 1000000] [--connections C] [--in FOLDER]
 *
 * The server runs from dist/, and `wrk` drives it. What is printed is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { driven, wrkVersion } from './server/driver.ts';
import { memoryBytes, peakMemoryBytes } from './server/process-usage.ts';
import { getsAndSets } from './server/requests.ts';
import { BUNDLE, makeSite, startServer, valuesOf } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    owners: { type: 'string', default: '100000' },
    secrets: { type: 'string', default: '1' },
    requests: { type: 'string', default: '1000000' },
    connections: { type: 'string', default: '32' },
    in: { type: 'string', default: tmpdir() },
  },
});
const [owners, secrets, total, connections] = [
  options.owners,
  options.secrets,
  options.requests,
  options.connections,
].map(Number) as [number, number, number, number];
const VALUE_BYTES = 1024;
/** The most that the server may take with 100,000 owners, MB. */
const GOAL = 250;
const ROWS = 10;
/** So many owners have their turns, then the next. */
const OWNERS_AT_ONCE = 5000;
const SECONDS = 2;

const folder = mkdtempSync(join(options.in, 'bench-memory-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const values = valuesOf(secrets, VALUE_BYTES);
  const site = await makeSite(folder, owners, values);
  const server = await startServer(site, { program: BUNDLE });
  const print = (requests: number) => {
    const cells = [memoryBytes(server.pid), peakMemoryBytes(server.pid)].map((bytes) => (bytes / 2 ** 20).toFixed(0));
    console.log(`| ${requests} | ${cells.join(' | ')} |`);
  };
  console.log(
    `${machineOf(folder)}; wrk ${wrkVersion()}, ${connections} connections. ${owners} owners with ${secrets} secrets of 1 kB each; the goal is ` +
      `at most ${GOAL} MB.\n\n| requests | MB | peak MB |\n|--:|--:|--:|`,
  );
  print(0);
  let done = 0;
  for (let part = 0; done < total; part++) {
    const first = (part * OWNERS_AT_ONCE) % owners;
    const users = site.users.slice(first, first + OWNERS_AT_ONCE);
    const round = Math.floor((part * OWNERS_AT_ONCE) / owners);
    const before = Math.floor((done * ROWS) / total);
    done += (await driven('panda-secrets', server, getsAndSets(users, values, round), connections).run(SECONDS)).units;
    if (Math.floor((done * ROWS) / total) > before) print(done);
  }
  await server.stop();
}
