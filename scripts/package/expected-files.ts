import { globSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS } from '../build/programs.ts';

const names = Object.keys(PROGRAMS);
const root = join(import.meta.dirname, '../..');
const documents = globSync('docs/**/*.*', { cwd: root });
const modules = globSync('*.py', { cwd: join(root, 'src/cli/pbook/shell/python/pbook') });

/** The files of the package, besides the chunks of the bundles. */
export const EXPECTED: readonly string[] = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
  ...['dist/THIRD-PARTY-LICENSES', 'dist/bom.cdx.json', 'dist/lib/transformation.py', 'dist/lib/pbook-python.js'],
  'dist/lib/pkcs11-module.js',
  ...['rules.yml', 'dashboard.json'].map((name) => `packaging/monitoring/panda-secrets.${name}`),
  ...documents.map((path) => `dist/lib/${path}`),
  ...names.flatMap((name) => [`dist/${name}.js`, `dist/lib/${name}.js`, `man/${name}.1`]),
  ...names.flatMap((name) => [`completions/_${name}`, `completions/${name}.bash`, `completions/${name}.fish`]),
  ...modules.map((name) => `dist/lib/python/pbook/${name}`),
];
