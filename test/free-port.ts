import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unlessGone } from './unless-gone.ts';

/**
 * Below the ports that systems give to who asks for any, connections included (from 32768 on Linux, from 49152 elsewhere): one of those may
 * be taken by whatever runs beside, before the program listens or while it is started again.
 */
const [FIRST, END] = [20_000, 32_768];

/** A file for each port that a process of tests was given, with its pid, until it ends: between its starts a program has none of its own. */
const GIVEN = join(tmpdir(), `panda-test-ports-${process.getuid?.()}`);

/** A port of 127.0.0.1 on which nothing listens at this moment, and which no other test is given: for programs that must be told theirs. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** Different ones. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(FIRST, END);
    if (take(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

function take(port: number): boolean {
  const file = join(GIVEN, String(port));
  mkdirSync(GIVEN, { recursive: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    given.add(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const pid = unlessGone(() => readFileSync(file, 'utf8'));
    if (pid && unlessGone(() => process.kill(Number(pid), 0)) === undefined) rmSync(file, { force: true });
    return false;
  }
}

const given = new Set<string>();
process.once('exit', () => {
  for (const file of given) rmSync(file, { force: true });
});

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    await once(probe.listen(port, '127.0.0.1'), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  await once(probe.close(), 'close');
  return true;
}
