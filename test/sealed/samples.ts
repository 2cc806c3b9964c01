import type { SplitTemplate } from '../../src/protocol/job-split.ts';
import { type WireName, wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { sealEnvelope } from '../../src/sealed/envelope.ts';
import { type GrantContent, makeGrant } from '../../src/sealed/grant.ts';
import { type Signer, signerOf } from '../../src/sealed/signed.ts';
import { siteIdOf } from '../../src/sealed/site-id.ts';
import { makeSiteRecord, readSiteRecord, type SiteRecord } from '../../src/sealed/site-record.ts';
import { importRoot, type NodeKeys, nodeKeysOf, type UserKeys, userKeysOf } from '../../src/sealed/user-root.ts';

/** Seconds since 1970 at which all of these are valid. */
export const NOW = 1_800_000_000;

/** A user and a site, with keys that are the same in every run. */
export interface Sample {
  user: UserKeys;
  site: { identity: Signer; node: NodeKeys; record: string; read: SiteRecord };
}

export async function userNumber(n: number): Promise<UserKeys> {
  return await userKeysOf(importRoot(new Uint8Array(32).fill(n)));
}

export async function siteNumber(n: number, queue = 'GRID_A'): Promise<Sample['site']> {
  const identity = signerOf(new Uint8Array(32).fill(100 + n));
  const node = await nodeKeysOf(importRoot(new Uint8Array(32).fill(200 + n)));
  const record = makeSiteRecord(identity, recordOf(identity, node, { queue }));
  return { identity, node, record, read: readSiteRecord(record) };
}

export function recordOf(identity: Signer, node: NodeKeys, change: Partial<SiteRecord> = {}): SiteRecord {
  return {
    queue: 'GRID_A',
    identity: siteIdOf(identity.publicKey),
    serial: 1,
    recipient: node.age.recipient,
    resultSigner: node.resultSigner.publicKey,
    from: NOW - 3600,
    end: NOW + 30 * 24 * 3600,
    ...change,
  };
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
export const TEMPLATE: SplitTemplate & GrantContent['template'] = {
  parameters: [
    {
      text: '-j "" --sourceURL ${SURL} -r . -a jobO.1.tar.gz -o "{\'out.txt\': \'user.al.$JEDITASKID._${SN/P}.out.txt\'}" ',
      firstNumber: 1,
    },
    { text: '-p "echo%20', firstNumber: 1 },
    { text: '${SEQNUMBER}', firstNumber: 5 },
    { text: '"', firstNumber: 1 },
  ],
  outputs: ['user.al.$JEDITASKID._${SN/P}.out.txt'],
  log: 'user.al.log.$JEDITASKID.${SN}.log.tgz',
  sourceUrl: 'https://panda.example:25080',
  sandboxSha256: 'ab'.repeat(32),
  secretForms: ['json', 'env', 'files'],
  maxWalltimeSeconds: 0,
  coreCount: 1,
  memory: 0,
  disk: 0,
};
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

export function grantOf(user: UserKeys, sites: readonly string[], change: Partial<GrantContent> = {}): string {
  const content: GrantContent = {
    task: 10_000_001,
    template: TEMPLATE,
    jobs: 3,
    attempts: 2,
    sites: [...sites],
    secrets: [{ name: 'TOKEN', atLeast: 5 }],
    results: null,
    end: NOW + 3600,
    ...change,
  };
  return makeGrant(user.signer, content, new Uint8Array(16).fill(7));
}

export async function sealedFor(
  user: UserKeys,
  sites: readonly SiteRecord[],
  {
    name = wireName('TOKEN'),
    version = 5,
    value = 'a-value-to-hide',
  }: { name?: WireName; version?: number; value?: string } = {},
): Promise<string> {
  return await sealEnvelope(user, { name, version, value: new Plaintext(value), sites });
}
