// Loaded into the process of each test file by `npm test`: tells the run what the file and the processes that it started took.

import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { secondsOfChildren } from './took.ts';

const folder = process.env['PANDA_TEST_TIMES'];
const [, file] = process.argv;

if (folder && file && process.env['NODE_TEST_CONTEXT']) {
  process.once('exit', () => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6 + secondsOfChildren();
    writeFileSync(join(folder, `${process.pid}`), `${seconds}\t${relative(process.cwd(), file)}`);
  });
}
