// `npm run manual`: manual pages and completion scripts, made from the definitions of the command lines, and the list of messages.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generatedFiles } from './manual/generated.ts';

const root = join(import.meta.dirname, '..');
for (const [path, text] of generatedFiles()) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
