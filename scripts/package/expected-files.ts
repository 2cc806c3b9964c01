import { globSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS } from '../build/programs.ts';

const names = Object.keys(PROGRAMS);
const documents = globSync('docs/**/*.*', { cwd: join(import.meta.dirname, '../..') });

/** The files of the package, besides the chunks of the bundles. */
export const EXPECTED: readonly string[] = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
  ...['dist/THIRD-PARTY-LICENSES', 'dist/bom.cdx.json', 'dist/lib/transformation.py', 'dist/lib/pbook-python.js'],
  ...documents.map((path) => `dist/lib/${path}`),
  ...names.flatMap((name) => [`dist/${name}.js`, `dist/lib/${name}.js`, `man/${name}.1`]),
  ...names.flatMap((name) => [`completions/_${name}`, `completions/${name}.bash`, `completions/${name}.fish`]),
  ...[
    '__init__',
    '_completion',
    '_history',
    '_link',
    '_paste',
    '_prompt',
    '_report',
    '_results',
    '_shell',
    '_start',
  ].map((name) => `dist/lib/python/pbook/${name}.py`),
  'dist/lib/python/pbook/_text_bytes.py',
];
