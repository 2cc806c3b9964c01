import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homeFolder } from '../files/home-folder.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { SITE_RECORD_EARLY_SECONDS } from '../protocol/limits.ts';
import { siteIdOf } from '../sealed/site-id.ts';
import {
  createSiteIdentity,
  createSiteKey,
  readRequest,
  readSiteIdentity,
  recordFileOf,
  renewSiteKey,
  requestFileOf,
  signSiteRecord,
  writeRecord,
  writeRequest,
} from '../sealed/site-key-file.ts';
import { readSiteRecord } from '../sealed/site-record.ts';

export interface SiteKeyOptions {
  queue: string;
  /** The file of the key; one below the user's home when left out. */
  out?: string;
  /** The site's identity, where it is at hand. */
  identity?: string;
}

export interface IdentityOptions {
  out?: string;
}

/** Where the programs of people and of scripts read what a command answers, and what it says beside it. */
interface Output {
  print(line: string): void;
  say(text: string): void;
}

/** Makes a site's identity, and prints its ID. */
export async function newSiteIdentity({ out = ownFolder('site-identity.json') }: IdentityOptions, output: Output) {
  const id = await createSiteIdentity(out);
  output.print(id);
  output.say(
    `this is the site ID, for the page of the site: users pin it. The identity is in ${out}; keep it off the nodes`,
  );
}

/** Signs what a node asks for, and prints the record. */
export async function signRequest(
  request: string,
  { identity = ownFolder('site-identity.json') }: { identity?: string },
  { print, say }: Output,
) {
  const asked = await readRequest(request);
  print(signSiteRecord(await readSiteIdentity(identity), asked, signedFrom()));
  say(`the record of queue ${asked.queue}: put it beside the key on the nodes, as ${recordName(request)}`);
}

/** Makes the key of a queue's nodes, or renews it; with an identity its record is signed at once. */
export async function makeSiteKey(how: 'new' | 'renew', options: SiteKeyOptions, { say }: Output) {
  const { queue, identity, out = ownFolder(`${queue}.key`) } = options;
  const signer = identity === undefined ? undefined : await readSiteIdentity(identity);
  const last = await readFile(recordFileOf(out), 'utf8').catch(() => undefined);
  if (how === 'renew' && signer && last && readSiteRecord(last.trim()).identity !== siteIdOf(signer.publicKey)) {
    throw new InvalidArgument(
      `the record beside ${out} is of another site identity than ${identity}: users would refuse it`,
    );
  }
  const request = await (how === 'new' ? createSiteKey : renewSiteKey)(out, queue, nowSeconds());
  if (signer) {
    await writeRecord(out, signSiteRecord(signer, request, signedFrom()));
    say(
      `the key is in ${out}, its record in ${recordFileOf(out)}: "panda-secrets queue site-key ${queue} FILE" publishes that`,
    );
    return;
  }
  await writeRequest(out, request);
  say(
    `the key is in ${out}. Its record is to be signed where the identity is: "panda-pilot site-identity sign ${requestFileOf(out)}" ` +
      `prints it, for ${recordFileOf(out)}`,
  );
}

function ownFolder(name: string): string {
  return join(homeFolder(process.env), '.panda-pilot', name);
}

function recordName(request: string): string {
  return recordFileOf(request.replace(/\.req$/, ''));
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

function signedFrom(): number {
  return nowSeconds() - SITE_RECORD_EARLY_SECONDS;
}
