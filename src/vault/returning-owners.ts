import type { OwnerId } from '../protocol/ids.ts';

/** Places for owners: somebody is noticed again until about as many others have asked. A power of two. */
const PLACES = 2 ** 14;

/**
 * Tells owners who come again from those who come seldom, for whom nothing need be remembered: their turn costs no more than it must, and
 * takes nobody's room. It may forget an owner, and once in a hundred thousand times take one for another: both cost time alone.
 *
 * @returns true where it was asked about that owner before, and about few others since
 */
export function createReturningOwners(): (owner: OwnerId) => boolean {
  const lastAt = new Uint32Array(PLACES);
  return (owner) => {
    const mark = markOf(owner);
    const place = mark % PLACES;
    const isBack = lastAt[place] === mark;
    lastAt[place] = mark;
    return isBack;
  };
}

/** FNV-1a, 32 bits; 0 is an empty place. */
function markOf(text: string): number {
  let mark = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) mark = Math.imul(mark ^ text.charCodeAt(n), 0x01000193);
  return mark >>> 0 || 1;
}
