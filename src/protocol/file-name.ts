import { InvalidArgument } from './errors.ts';
import { utf8Length } from './text.ts';

const MAX_FILE_NAME_BYTES = 255;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NOT_IN_A_NAME = /[\u0000-\u001f\u007f/\\,]/;

/**
 * Checks the name of a sandbox, log or output: one path segment that is safe to create in a job's working directory, and
 * without a comma, because PanDA writes lists of names with commas between them.
 *
 * @param what the thing that has the name, for the message
 * @throws {InvalidArgument}
 */
export function checkFileName(name: string, what: string): void {
  if (name === '' || name === '.' || name === '..') throw new InvalidArgument(`${what}: "${name}" is not a file name`);
  if (NOT_IN_A_NAME.test(name) || !name.isWellFormed()) {
    throw new InvalidArgument(
      `${what}: a file name may not contain "/", "\\", "," or control characters: ${JSON.stringify(name)}`,
    );
  }
  if (utf8Length(name) > MAX_FILE_NAME_BYTES) {
    throw new InvalidArgument(`${what}: a file name may have at most ${MAX_FILE_NAME_BYTES} bytes`);
  }
}
