import { registerHooks } from 'node:module';

// For `node --import`: the programs of this tree as the release after this one, whose only difference is a migration more.

const OURS = /\/src\/store\/migrations\.ts$/;
const NEXT = new URL('next-migrations.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const found = nextResolve(specifier, context);
    return OURS.test(found.url) && context.parentURL !== NEXT ? { ...found, url: NEXT } : found;
  },
});
