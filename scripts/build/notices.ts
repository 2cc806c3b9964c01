import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ShippedPackage } from './shipped-packages.ts';

/**
 * The licences of the packages that are shipped, as their terms ask: name, version and text of each.
 *
 * @throws {Error} when a package has no licence
 */
export function noticesOf(packages: readonly ShippedPackage[], root: string): string {
  const notices = packages.map(({ name, version, manifest, folder }) => {
    const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const texts = files.map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    if (texts.length === 0 && !manifest['license']) throw new Error(`${name} ${version} names no licence`);
    return `${name} ${version} (${manifest['license']})\n\n${texts.join('\n\n')}`.trim();
  });
  return `The programs in this folder contain these packages.\n\n${notices.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
