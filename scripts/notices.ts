import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A path below node_modules, up to and with the innermost package's name. */
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

/**
 * The licences of the packages that a bundle is made of, as their terms ask: name, version and text of each.
 *
 * @param inputs the files that went into it, relative to `root`, as esbuild's metafile lists them
 * @throws {Error} when a package has no licence text
 */
export function noticesOf(inputs: Iterable<string>, root: string): string {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = PACKAGE.exec(input)?.[0];
    if (folder) folders.add(folder);
  }
  const notices = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const texts = files.map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    if (texts.length === 0 && !license) throw new Error(`${name} ${version} names no licence`);
    return `${name} ${version} (${license})\n\n${texts.join('\n\n')}`.trim();
  });
  return `The programs in this folder contain these packages.\n\n${notices.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
