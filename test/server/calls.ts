import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Call } from '../../src/protocol/calls/call.ts';

const FOLDER = join(import.meta.dirname, '../../src/protocol/calls');

/** Every call of the protocol, from every file that has some. */
export async function allCalls(): Promise<Call[]> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.ts'));
  const groups = await Promise.all(files.map((name) => import(join(FOLDER, name))));
  return groups.flatMap((group) => Object.values(group)).filter(isCall);
}

function isCall(value: unknown): value is Call {
  return typeof value === 'object' && value !== null && 'path' in value && 'http' in value;
}
