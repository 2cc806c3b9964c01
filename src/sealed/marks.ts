import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { WIRE_NAME } from './envelope.ts';
import { flag, integer, list, object, orNull, type Read, text } from './exact-json.ts';
import { type OwnFile, ownFile } from './own-file.ts';
import { SITE_ID, type SiteId } from './site-id.ts';
import { PUBLIC_KEY } from './site-record.ts';

const VERSION = integer(0, Number.MAX_SAFE_INTEGER);
/** Sites that one secret was sealed for in its life. */
const MAX_MARKED_SITES = 1000;
const WHOLE_MARK = object({
  name: WIRE_NAME,
  made: VERSION,
  taken: VERSION,
  queues: orNull(list(text(64), 1000)),
  sites: list(SITE_ID, MAX_MARKED_SITES),
  deleted: flag,
  unproven: flag,
});
/** Files and bundles of earlier releases do not tell it. */
const MARK: Read<Mark> = (value) => WHOLE_MARK({ unproven: false, ...(value as object) });
/** Names that were ever sealed stay, deleted ones too. */
const MAX_MARKS = 100_000;
export const MARKS = object({ signer: PUBLIC_KEY, marks: list(MARK, MAX_MARKS) });

/** The mark of a secret that was sealed on this device: no server can lower it. */
export interface Mark {
  /** As on the wire: of a string or of a file, as it was sealed last. One name is one secret. */
  name: string;
  /** The highest version that was made here, written before it was sent: no number is given twice. */
  made: number;
  /** The highest that the server took, or that was seen: an older one is not what was sealed last. */
  taken: number;
  /** The queues that it was sealed for, as its owner chose them; null for all that are trusted. */
  queues: string[] | null;
  /** The sites that a version of it was ever sealed for here: they know, or knew, its value. */
  sites: SiteId[];
  /** Its owner deleted it here; its name and its versions stay known. */
  deleted: boolean;
  /** It came from the server alone, and was not set here since: an older one could have been shown in its place. */
  unproven: boolean;
}

/** A version that the server took, or that was opened. */
export interface TakenVersion {
  name: WireName;
  version: number;
  sites?: readonly SiteId[];
  /** As it was where left out. */
  unproven?: boolean;
}

/** The marks of a user's sealed secrets on this device. */
export interface Marks {
  list(): Promise<Mark[]>;
  /** Of a string or a file of that name. */
  of(name: WireName): Promise<Mark | undefined>;
  /** Gives the number of a new version, and keeps for whom it is. @param now milliseconds since 1970 */
  make(name: WireName, given: { queues: string[] | null; sites: readonly SiteId[]; now: number }): Promise<number>;
  /** Notes versions that the server took, or that were opened. */
  take(taken: readonly TakenVersion[]): Promise<void>;
  /** Adds those of another device, for names that are not known here, or are unproven. */
  put(marks: readonly Mark[]): Promise<void>;
  /** Notes that its owner deleted it, or all of them. */
  delete(name?: WireName): Promise<void>;
}

/** The names that were ever sealed on this device, by whichever key, as their user calls them. */
export async function everSealed(folder: string): Promise<Set<string>> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const names = new Set<string>();
  for (const file of files.filter((one) => FILE_NAME.test(one))) {
    const content = await marksFile(join(folder, file)).read();
    for (const { name } of content?.marks ?? []) names.add(splitWireName(name as WireName).name);
  }
  return names;
}

/** Files of marks, each called after the key that they are of: those of a key that is gone stay. */
const FILE_NAME = /^[\w-]{16}$/;

/** @param signer the user's signing key: marks of another one are not used */
export function marksOf(folder: string, signer: string): Marks {
  const file = marksFile(join(folder, signer.slice(0, 16)));
  const empty = { signer, marks: [] };
  const ofSigner = (content: { signer: string; marks: Mark[] } | undefined) =>
    content?.signer === signer ? content.marks : [];
  const all = async () => ofSigner(await file.read());
  const edit = (names: readonly WireName[], change: (mark: Mark, name: WireName) => Mark) =>
    file.change(empty, (content) => {
      let marks = [...ofSigner(content)];
      for (const name of names) {
        const known = marks.find((mark) => isOf(mark, name));
        const unknown = { name, made: 0, taken: 0, queues: null, sites: [], deleted: false, unproven: false };
        marks = [...marks.filter((mark) => mark !== known), change(known ?? unknown, name)];
      }
      return { signer, marks };
    });
  return {
    list: all,
    of: async (name) => (await all()).find((mark) => isOf(mark, name)),
    async make(name, { queues, sites, now }) {
      const { marks } = await edit([name], (mark) => ({
        ...mark,
        name,
        made: Math.max(now, mark.made + 1, mark.taken + 1),
        queues,
        sites: together(mark.sites, sites),
      }));
      return marks.find((mark) => isOf(mark, name))?.made ?? now;
    },
    async take(taken) {
      const byName = new Map(taken.map((one) => [one.name, one]));
      await edit([...byName.keys()], (mark, name) => {
        const { version = 0, sites = [], unproven = mark.unproven } = byName.get(name) ?? {};
        const isNewest = mark.deleted ? version > mark.taken : version >= mark.taken;
        return {
          ...mark,
          name: isNewest ? name : mark.name,
          taken: Math.max(mark.taken, version),
          sites: together(mark.sites, sites),
          deleted: isNewest ? false : mark.deleted,
          unproven,
        };
      });
    },
    async put(more) {
      await file.change(empty, (content) => {
        const marks = ofSigner(content);
        const added = more.filter(({ name, taken, unproven }) => {
          const known = marks.find((mark) => isOf(mark, name as WireName));
          return !known || (known.unproven && !unproven && taken >= known.taken);
        });
        const kept = marks.filter((mark) => !added.some(({ name }) => isOf(mark, name as WireName)));
        return { signer, marks: [...kept, ...added] };
      });
    },
    async delete(name) {
      // One that was sent, and whose answer was lost, is gone as well.
      const gone = (mark: Mark) =>
        name === undefined || isOf(mark, name)
          ? { ...mark, taken: Math.max(mark.taken, mark.made), deleted: true }
          : mark;
      if ((await file.read()) === undefined) return;
      await file.change(empty, (content) => ({ signer, marks: ofSigner(content).map(gone) }));
    },
  };
}

function marksFile(path: string): OwnFile<{ signer: string; marks: Mark[] }> {
  return ownFile(path, 'list of sealed secrets', MARKS);
}

function isOf(mark: Mark, name: WireName): boolean {
  return splitWireName(mark.name as WireName).name === splitWireName(name).name;
}

function together(known: readonly SiteId[], more: readonly SiteId[]): SiteId[] {
  return [...new Set([...known, ...more])].slice(-MAX_MARKED_SITES);
}
