import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';

const SUMS = 'SHA256SUMS';
/** Of the signature: a signature that the same key made for something else is none of a release. */
const NAMESPACE = 'panda-secrets-release';

/** SHA-256, in hex. */
export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Writes `SHA256SUMS` of all files of the folder, as `sha256sum --check` reads it. */
export function writeSums(folder: string): void {
  const names = readdirSync(folder).sort();
  writeFileSync(join(folder, SUMS), names.map((name) => `${digestOf(join(folder, name))}  ${name}\n`).join(''));
}

/** The sums of a release. */
export function readSums(folder: string): string {
  return readFileSync(join(folder, SUMS), 'utf8');
}

/**
 * Signs the sums, and so all files: `SHA256SUMS.sig`.
 *
 * @param key a private key of ssh-keygen's, or the public one of a key that an agent or a token holds
 */
export function signSums(folder: string, key: string): void {
  runCommand(['ssh-keygen', '-Y', 'sign', '-q', '-n', NAMESPACE, '-f', key, join(folder, SUMS)]);
}
