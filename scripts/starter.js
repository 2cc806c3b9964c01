#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// In the user's own cache folder: Node's default is below /tmp, where others could put code in its place.
const folder = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
if (!process.env.NODE_COMPILE_CACHE) {
  enableCompileCache({ directory: join(folder, 'panda-secrets', 'compile-cache'), portable: true });
}
await import('./lib/PROGRAM.js');
