import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskParameter } from '../../src/protocol/job-parameters.ts';

/** The `jobParameters` that PanDA's prun sends for `--exec "python my.py %RNDM:1" --outputs out.txt`, as captured. */
export const PIECES: TaskParameter[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'job-parameter-pieces.json'), 'utf8'),
);
