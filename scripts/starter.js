#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Nothing above may need a newer Node than the one that is told so here.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`PROGRAM: this is Node ${process.versions.node}; Node 24 or newer is needed`);
  process.exit(1);
}
if (!process.env.NODE_COMPILE_CACHE) {
  try {
    // In the user's own cache folder: Node's default is below /tmp, where others could put code in its place.
    const folder = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
    module.enableCompileCache({ directory: join(folder, 'panda-secrets', 'compile-cache'), portable: true });
  } catch {
    // A user without a home, or a Node before 24.12, which takes no options: the program starts a little slower.
  }
}
await import('./lib/PROGRAM.js');
