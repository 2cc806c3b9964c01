import { PROGRAMS } from '../build/programs.ts';

const names = Object.keys(PROGRAMS);

/** The files of the package, besides the chunks of the bundles. */
export const EXPECTED: readonly string[] = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
  ...['dist/THIRD-PARTY-LICENSES', 'dist/bom.cdx.json', 'dist/lib/transformation.py'],
  ...names.flatMap((name) => [`dist/${name}.js`, `dist/lib/${name}.js`, `man/${name}.1`]),
  ...names.flatMap((name) => [`completions/_${name}`, `completions/${name}.bash`, `completions/${name}.fish`]),
  ...['NOTICE', 'thread.js', 'pyodide.asm.mjs', 'pyodide.asm.wasm', 'pyodide-lock.json', 'python_stdlib.zip'].map(
    (name) => `dist/lib/python/${name}`,
  ),
  ...['pbook.py', 'pbook_console.py', 'pbook_text_bytes.py', 'snapshot.zst'].map((name) => `dist/lib/python/${name}`),
];
