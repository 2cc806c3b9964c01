import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package whose code is in the bundles. */
export interface ShippedPackage {
  name: string;
  version: string;
  /** Its package.json. */
  manifest: Readonly<Record<string, unknown>>;
  /** The place of its installation, relative to the root: `node_modules/...`. */
  folder: string;
}

/** A path below node_modules, up to and with the innermost package's name. */
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

/**
 * The packages that bundles are made of, sorted by the place of their installation.
 *
 * @param inputs the files that went into them, relative to `root`, as esbuild's metafile lists them
 */
export function shippedPackages(inputs: Iterable<string>, root: string): ShippedPackage[] {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = PACKAGE.exec(input)?.[0];
    if (folder) folders.add(folder);
  }
  return [...folders].sort().map((folder) => {
    const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    return { name: manifest.name, version: manifest.version, manifest, folder };
  });
}
