import { DECODERS } from './decoders.ts';

/** So many characters of a secret together are a leak: the shortest thing that is masked has as many. */
const LEAKED_CHARS = 6;
const DEPTH = 2;

export interface Leak {
  /** The characters of the secret that were found. */
  run: string;
  /** The decoders that made them readable, the outermost encoding first. */
  through: readonly string[];
}

/** Looks for pieces of a secret in bytes, as they are and through every decoder, twice. */
export function findLeak(secret: string, bytes: Uint8Array, depth = DEPTH): Leak | undefined {
  const runs = runsOf(secret);
  const seen = new Set<string>();
  let level: { text: string; through: readonly string[] }[] = [
    { text: Buffer.from(bytes).toString('latin1'), through: [] },
  ];
  for (let round = 0; ; round++) {
    for (const { text, through } of level) {
      const found = runs.find(({ bytes: run }) => text.includes(run));
      if (found) return { run: found.run, through };
    }
    if (round === depth) return undefined;
    level = level.flatMap(({ text, through }) =>
      Object.entries(DECODERS).flatMap(([name, decode]) =>
        decode(text)
          .filter((decoded) => decoded.length >= LEAKED_CHARS && !seen.has(decoded) && seen.add(decoded))
          .map((decoded) => ({ text: decoded, through: [...through, name] })),
      ),
    );
  }
}

/** Composed and decomposed, in UTF-8. */
function runsOf(secret: string): { run: string; bytes: string }[] {
  const runs = new Map<string, string>();
  for (const form of [secret, secret.normalize('NFC')]) {
    const characters = [...form];
    for (let at = 0; at + LEAKED_CHARS <= characters.length; at++) {
      const run = characters.slice(at, at + LEAKED_CHARS).join('');
      runs.set(run, Buffer.from(run).toString('latin1'));
    }
  }
  return [...runs].map(([run, bytes]) => ({ run, bytes }));
}
