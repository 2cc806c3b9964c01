import { InvalidValue } from '../../protocol/errors.ts';
import { MAX_VALUE_BYTES } from '../../protocol/limits.ts';
import { UsageError, warn } from '../reporting.ts';

/**
 * The value of `set_secret`: as it stands on the command line, `-` for all of standard input, or typed at the terminal.
 *
 * @param given the argument, if there is one
 */
export async function secretValue(name: string, given: string | undefined): Promise<string> {
  if (given === '-') return await readInput();
  if (given !== undefined) return given;
  if (!process.stdin.isTTY) {
    throw new UsageError('no VALUE: give it, or - to read it from standard input, or --file PATH to upload a file');
  }
  return await askForValue(name);
}

/** Standard input byte for byte. @throws {InvalidValue} when it is empty, too large, or not UTF-8 */
async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_VALUE_BYTES) {
      throw new InvalidValue(
        `standard input has more than the ${MAX_VALUE_BYTES} bytes (1000 kB) that a value may have`,
      );
    }
  }
  if (size === 0) {
    throw new InvalidValue("standard input was empty: nothing was stored. To store an empty value, give '' as VALUE");
  }
  const value = decode(Buffer.concat(chunks));
  if (/^[^\n]+\n$/.test(value)) {
    warn('the line end after the value was kept; where it should not be part of it, use: printf %s VALUE | pbook ...');
  }
  return value;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InvalidValue('standard input is not UTF-8 text: upload it with --file PATH, or encode it with base64');
  }
}

async function askForValue(name: string): Promise<string> {
  const { password } = await import('@inquirer/prompts');
  const value = await password({ message: `Value of ${name} (not shown):` }, { output: process.stderr });
  if (value === '')
    throw new InvalidValue("nothing was typed: nothing was stored. To store an empty value, give '' as VALUE");
  return value;
}
