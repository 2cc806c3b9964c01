import { EXPECTED } from './expected-files.ts';

/** A file of the package, its path without the folder that npm puts everything into. */
export interface PackedFile {
  path: string;
  content: Buffer;
}

/** The chunks of the bundles, whose names carry a hash. */
const CHUNK = /^dist\/lib\/[\w.-]+-[A-Z0-9]{8}\.js$/;

/** The packages that npm would bring along with this one. */
const DEPENDENCIES = ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies'];

/**
 * Checks what would be published.
 *
 * @param root the folder that it was built in, which may stand in no file
 * @returns a line for each thing that is wrong
 */
export function problemsOf(files: readonly PackedFile[], root: string): string[] {
  const paths = new Set(files.map(({ path }) => path));
  return [
    ...EXPECTED.filter((path) => !paths.has(path)).map((path) => `${path} is missing`),
    ...files.flatMap((file) => [...unexpected(file), ...traces(file, root), ...dependenciesIn(file)]),
  ];
}

function unexpected({ path, content }: PackedFile): string[] {
  if (!EXPECTED.includes(path) && !CHUNK.test(path)) return [`${path} does not belong in it`];
  return content.length === 0 ? [`${path} is empty`] : [];
}

function traces({ path, content }: PackedFile, root: string): string[] {
  return content.includes(root) ? [`${path} names the folder ${root} of this machine`] : [];
}

function dependenciesIn({ path, content }: PackedFile): string[] {
  if (path !== 'package.json') return [];
  const manifest = JSON.parse(content.toString()) as Record<string, unknown>;
  return DEPENDENCIES.filter((kind) => kind in manifest).map((kind) => `package.json has ${kind}`);
}
