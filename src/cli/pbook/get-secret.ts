import { randomUUID } from 'node:crypto';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InvalidValue } from '../../protocol/errors.ts';
import { parseWireName, type SecretKind, splitWireName } from '../../protocol/names.ts';
import { Plaintext } from '../../protocol/plaintext.ts';
import { info, printJson, UsageError } from '../reporting.ts';
import { findSecret } from './secrets.ts';

interface Options {
  output?: string;
  json?: boolean;
}

/** A secret with its value as it travels: base64 for a file. */
interface FetchedSecret {
  name: string;
  kind: SecretKind;
  value: Plaintext;
}

/** `get_secret KEY [--output FILE]`: the value as it was set, and a file as its bytes. */
export async function getSecret(words: readonly string[], { output, json }: Options): Promise<void> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('get_secret takes one KEY');
  const { name } = splitWireName(parseWireName(key));
  const [kind, text] = await findSecret(name);
  const value = new Plaintext(text);
  if (output !== undefined && output !== '-') {
    const size = await writePrivately(output, bytesOf({ name, kind, value }));
    if (json) printJson({ name, kind, file: output, size });
    else info(`wrote ${name} to ${output} (${size} bytes)`);
  } else if (json) printJson({ name, kind, value: value.reveal() });
  else printValue({ name, kind, value });
}

function bytesOf({ kind, value }: FetchedSecret): Buffer {
  return Buffer.from(value.reveal(), kind === 'file' ? 'base64' : 'utf8');
}

/** A terminal is given letters alone, whatever the value would do to it; everything else the bytes themselves. */
function printValue(secret: FetchedSecret): void {
  const bytes = bytesOf(secret);
  if (!process.stdout.isTTY) return void process.stdout.write(bytes);
  const text = bytes.toString('utf8');
  if (!isShowable(text)) {
    throw new InvalidValue(`${secret.name} is not text: write it to a file with --output FILE, or into a pipe`);
  }
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

function isShowable(text: string): boolean {
  return !/[^\P{C}\t\n\r]/u.test(text) && !text.includes('\uFFFD');
}

/** The file is readable by its user alone, and there whole or not at all. @returns its size in bytes */
async function writePrivately(path: string, bytes: Uint8Array): Promise<number> {
  const temporary = join(dirname(path), `.${randomUUID()}`);
  try {
    const there = await lstat(path).catch(() => undefined);
    if (there && !there.isFile()) throw new UsageError(`${path} is there and is not a file: name another one`);
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    return bytes.length;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    if (error instanceof UsageError) throw error;
    throw new InvalidValue(`cannot write ${path} (${(error as NodeJS.ErrnoException).code}): nothing was kept there`);
  }
}
