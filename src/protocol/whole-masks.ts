import type { MaskChoice } from './secret-attributes.ts';

/**
 * The secrets of a job that are masked as a whole (the attribute `mask`), as a pilot learns them: their places, from 0, among all names
 * in the order of `sort()`. The names themselves are sealed.
 */
export function wholeMasks(secrets: readonly { name: string; mask: string | null }[]): number[] {
  const sorted = secrets.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.flatMap(({ mask }, place) => (mask === 'whole' ? [place] : []));
}

/** The choice for each of these secrets, by name. */
export function maskChoices(names: readonly string[], whole: readonly number[] = []): Map<string, MaskChoice> {
  return new Map(names.toSorted().map((name, place) => [name, whole.includes(place) ? 'whole' : 'parts']));
}
