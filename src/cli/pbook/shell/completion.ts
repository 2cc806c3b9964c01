import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AsyncCompleter } from 'node:readline';
import { homeFolder } from '../../../files/home-folder.ts';

/** Where the options of a completion come from. */
export interface CompletionSources {
  /** Names, parameters and attributes that Python knows. */
  python(line: string): Promise<{ from: string; to: string[] }>;
  /** The names of the user's secrets. */
  secretNames(): Promise<string[]>;
}

const SECRET_NAME =
  /\b(?:set_secret|delete_secret|masking|secret_history|secret_versions|restore_secret)\(\s*(?:key\s*=\s*)?(['"])([^'"\\]*)$/;
const OPENED_PATH = /\bopen\(\s*(['"])([^'"\\]*)$/;
const ANY_PATH = /(['"])((?:~|\.{1,2})?\/[^'"\\]*)$/;

/** Completes names of secrets and paths inside quotes, Python everywhere else; a Tab at the margin indents. */
export function createCompleter({ python, secretNames }: CompletionSources): AsyncCompleter {
  const options = async (line: string): Promise<[string[], string]> => {
    if (line.trim() === '') return [['    '], ''];
    const [, quote = '', name] = SECRET_NAME.exec(line) ?? [];
    if (name !== undefined) {
      const names = (await secretNames()).filter((known) => known.startsWith(name) && !/['"\\]/.test(known));
      return [names.map((known) => known + quote), name];
    }
    const path = (OPENED_PATH.exec(line) ?? ANY_PATH.exec(line))?.[2];
    if (path !== undefined) return [paths(path), path];
    const { from, to } = await python(line);
    return [to, from];
  };
  return (line, callback) => {
    options(line).then(
      (found) => callback(null, found),
      () => callback(null, [[], line]),
    );
  };
}

function paths(begun: string): string[] {
  const folder = begun.endsWith('/') ? begun : begun.includes('/') ? `${dirname(begun)}/`.replace('//', '/') : '';
  const beginning = begun.slice(folder.length);
  return readdirSync(folder.replace(/^~\//, `${homeFolder(process.env)}/`) || '.', { withFileTypes: true })
    .filter(({ name }) => name.startsWith(beginning) && (beginning !== '' || !name.startsWith('.')))
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .sort();
}
