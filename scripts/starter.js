#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Nothing above may need a newer Node than the one that is told so here.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`PROGRAM: this is Node ${process.versions.node}; Node 24 or newer is needed`);
  process.exit(1);
}
// In the user's own cache folder: Node's default is below /tmp, where others could put code in its place.
const folder = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
if (!process.env.NODE_COMPILE_CACHE) {
  module.enableCompileCache({ directory: join(folder, 'panda-secrets', 'compile-cache'), portable: true });
}
await import('./lib/PROGRAM.js');
