import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The transformation as PanDA's pilots fetch it, in one file: what it imports of its own (`transformation_*.py` in `folder`) stands in
 * the place of the import.
 */
export function transformationScript(folder: string, name = 'transformation'): string {
  const script = readFileSync(join(folder, `${name}.py`), 'utf8');
  return script.replace(/^from (transformation_\w+) import .*\n/gm, (_line, part: string) =>
    transformationScript(folder, part),
  );
}
