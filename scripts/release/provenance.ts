import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';
import { digestOf } from './checksums.ts';
import type { Source } from './source.ts';

/** Names the one that built where nothing else is said: the statement is then as good as the signature beside it. */
export const BY_HAND = 'urn:panda-secrets:builder:by-hand';

/**
 * The provenance of a release: an in-toto statement with SLSA provenance 1 (slsa.dev/spec/v1.0/provenance). Times of the build are left out, so
 * that the same commit gives the same bytes; the commit's own is the one that counts.
 *
 * @param options `subjects`: the files, by name; `builder`: a URI
 */
export function provenanceOf(options: {
  root: string;
  folder: string;
  subjects: readonly string[];
  source: Source;
  builder: string;
}): object {
  const { root, folder, subjects, source, builder } = options;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const nodePath = `node_modules/node-linux-${process.arch}`;
  const node = lock.packages[nodePath] as { version: string; integrity: string };
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map((name) => ({ name, digest: { sha256: digestOf(join(folder, name)) } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:panda-secrets:npm-run-release:1',
        externalParameters: { command: 'npm run release', commit: source.commit },
        internalParameters: { sourceDateEpoch: source.epoch, machine: process.arch, tools: toolsOfThisMachine() },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: source.commit } },
          { name: 'package-lock.json', digest: { sha256: digestOf(join(root, 'package-lock.json')) } },
          {
            name: 'node',
            uri: `pkg:npm/node-linux-${process.arch}@${node.version}`,
            digest: { sha512: Buffer.from(node.integrity.replace(/^sha512-/, ''), 'base64').toString('hex') },
          },
        ],
      },
      runDetails: { builder: { id: builder } },
    },
  };
}

/** Those whose version can change bytes, as each tells it first. */
function toolsOfThisMachine(): Record<string, string> {
  const firstLine = (...command: string[]) => runCommand(command).split('\n', 1)[0] ?? '';
  return {
    node: process.version,
    npm: firstLine('npm', '--version'),
    strip: firstLine('strip', '--version'),
    'dpkg-deb': firstLine('dpkg-deb', '--version'),
  };
}
