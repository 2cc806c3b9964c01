import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { transformationScript } from '../../src/server/routes/transformation-script.ts';

/** Writes the files that `serve` reads at run time into the folder of its bundle. */
export function writeServerFiles(root: string, lib: string): void {
  writeFileSync(join(lib, 'transformation.py'), transformationScript(join(root, 'src/server/routes')));
  // A program of its own, which imports nothing of the project.
  const module = readFileSync(join(root, 'src/sealing/pkcs11-module.ts'), 'utf8');
  const { code } = transformSync(module, { loader: 'ts', format: 'esm', target: 'node24' });
  writeFileSync(join(lib, 'pkcs11-module.js'), code);
  cpSync(join(root, 'docs'), join(lib, 'docs'), { recursive: true });
}
