import { join } from 'node:path';

/** The folder of the Python module `pbook`: in the source tree, and in the package, where this stands in `dist/lib/`. */
export const PYTHON_FOLDER = join(import.meta.dirname, 'python');
