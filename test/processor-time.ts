// Loaded into the process of each test file by `npm test`: tells the run what the file and the processes that it started took.

import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const TICKS_PER_SECOND = 100;

const folder = process.env['PANDA_TEST_TIMES'];
const [, file] = process.argv;

if (folder && file && process.env['NODE_TEST_CONTEXT']) {
  process.once('exit', () => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6 + ofChildren();
    writeFileSync(join(folder, `${process.pid}`), `${seconds}\t${relative(process.cwd(), file)}`);
  });
}

/** Of those that have ended, with their own: proc_pid_stat(5), `cutime` and `cstime`. */
function ofChildren(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
