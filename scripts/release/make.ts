import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { billOfMaterials } from '../build/bill-of-materials.ts';
import { bundle } from '../build/bundles.ts';
import { type ShippedPackage, shippedPackages } from '../build/shipped-packages.ts';
import { buildSingleFiles, whyNoSingleFile, withLicenceOfNode } from '../build/single-file.ts';
import { makeTarball } from '../package/tarball.ts';
import { writeSums } from './checksums.ts';
import { buildDebianPackage } from './debian.ts';
import { provenanceOf } from './provenance.ts';
import { sourceOf } from './source.ts';

/**
 * Makes all files of a release in a folder, which is emptied before. Of one commit, on machines with the same tools, they have the same bytes.
 *
 * @throws {Error} when a tool is missing or fails
 */
export async function makeRelease(
  root: string,
  { folder, builder }: { folder: string; builder: string },
): Promise<{ tarball: string; debianPackage: string }> {
  const obstacle = whyNoSingleFile();
  if (obstacle !== undefined) throw new Error(obstacle);
  const source = sourceOf(root);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const name = `${manifest.name}-${manifest.version}`;

  const tarball = basename(await makeTarball(root, folder));
  const { files: executables } = await buildSingleFiles({ root, folder });
  const packages = [...shippedPackages(await bundle(root), root), nodeItself(root)];
  writeFileSync(join(folder, `${name}.cdx.json`), billOfMaterials(manifest, packages));
  const notices = withLicenceOfNode(readFileSync(join(root, 'dist/THIRD-PARTY-LICENSES'), 'utf8'), root);
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES'), notices);
  const debianPackage = buildDebianPackage({ root, folder, version: manifest.version, epoch: source.epoch });
  copyFileSync(join(root, 'packaging/Containerfile'), join(folder, 'Containerfile'));

  const subjects = [
    tarball,
    ...executables,
    debianPackage,
    'Containerfile',
    'THIRD-PARTY-LICENSES',
    `${name}.cdx.json`,
  ];
  const statement = provenanceOf({ root, folder, subjects, source, builder });
  writeFileSync(join(folder, `${name}.intoto.json`), `${JSON.stringify(statement, null, 2)}\n`);
  writeSums(folder);
  return { tarball, debianPackage };
}

/** The Node that is in the executables and in the Debian package, as the registry's package of it says. */
function nodeItself(root: string): ShippedPackage {
  const folder = `node_modules/node-linux-${process.arch}`;
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  return { name: manifest.name, version: manifest.version, manifest, folder };
}
