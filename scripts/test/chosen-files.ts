import { globSync } from 'node:fs';

/** Ends the name of a test file that needs whole systems, or much processor time: `npm test` leaves those to `npm run test:site`. */
const OF_A_SITE = '.site.test.ts';

/**
 * The files of a run, as paths from the root: those of `npm test`, those of `npm run test:site` when `site` says so, or of both those that
 * are below the places that are named.
 *
 * @throws {Error} naming a place that has none
 */
export function chosenFiles(
  root: string,
  { site = false, named = [] }: { site?: boolean; named?: readonly string[] } = {},
): string[] {
  if (named.length === 0) return filesAt(root, 'test').filter((file) => file.endsWith(OF_A_SITE) === site);
  return named.flatMap((place) => {
    const found = filesAt(root, place);
    if (found.length === 0) throw new Error(`there is no test file ${place}, nor one below it`);
    return found;
  });
}

function filesAt(root: string, place: string): string[] {
  return globSync(place.endsWith('.ts') ? place : `${place}/**/*.test.ts`, { cwd: root }).sort();
}
