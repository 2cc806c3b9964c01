import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformationScript } from '../../src/server/routes/transformation-script.ts';

/** Writes the files that `serve` reads at run time into the folder of its bundle. */
export function writeServerFiles(root: string, lib: string): void {
  writeFileSync(join(lib, 'transformation.py'), transformationScript(join(root, 'src/server/routes')));
  cpSync(join(root, 'docs'), join(lib, 'docs'), { recursive: true });
}
