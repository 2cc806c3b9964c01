import { unlink } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { credentialName, readCredential } from '../files/credential.ts';
import { stampOf } from '../files/file-stamp.ts';
import { type PrivateFile, privateText } from '../files/private-file.ts';
import { InvalidArgument, Misconfigured } from '../protocol/errors.ts';
import {
  asidePath,
  type KeyFile,
  newKeyFile,
  noKeyFile,
  onlyKey,
  parseKeyFile,
  providerOf,
  withNewKey,
  withoutKey,
} from './key-file.ts';
import { lock, unlock, WORK_FACTOR } from './passphrase.ts';
import { pathOf, spelledOptions, uriParts } from './root-key-uri.ts';
import type { AskPassphrase, RootKeyPlaces } from './root-keys.ts';

const FORM = 'passphrase:/PATH/TO/FILE?passphrase-file=/PATH';
const IF_EXPOSED = ', and change what is in it if someone may have read it';
const MIN_PASSPHRASE_CHARS = 12;
const NEEDS = `"passphrase-file" (a file of mode 0600), "credential" (its name in $CREDENTIALS_DIRECTORY, as systemd gives it), or neither, to be asked at the terminal`;

interface Options {
  ask?: AskPassphrase | undefined;
}

/**
 * Root keys in a key file under a passphrase: an age file, so that its content can be had back with `age --decrypt` too. The passphrase
 * comes from a file, from systemd or from the terminal, never from the command line.
 *
 * @param workFactor of age's scrypt
 */
export function passphraseFiles(workFactor = WORK_FACTOR): RootKeyPlaces {
  async function open(uri: string, { ask }: Options) {
    const { path, source } = parse(uri);
    const passphrase = await passphraseOf(path, source, ask);
    return { path, file: lockedFile(path), passphrase };
  }

  async function read(path: string, text: string, passphrase: string): Promise<KeyFile> {
    const content = await unlock(text, passphrase).catch((error) => {
      if (!(error instanceof InvalidArgument)) throw error;
      throw new Misconfigured(
        `the root key file ${path} does not open: the passphrase is wrong, or the file was damaged`,
      );
    });
    return parseKeyFile(parsed(content, path), path);
  }

  const locked = (content: KeyFile, passphrase: string) => lock(JSON.stringify(content), passphrase, workFactor);

  return {
    form: FORM,

    canonical(uri) {
      const { path, source } = parse(uri);
      const { pathname } = pathToFileURL(path);
      const options = source && ('file' in source ? { 'passphrase-file': source.file } : source);
      return `passphrase:${pathname}${spelledOptions(options ?? {})}`;
    },

    async open(uri, { create, ask }) {
      const { path, file, passphrase } = await open(uri, { ask });
      let text = await file.read();
      if (text === undefined && create) {
        await file.create(await locked(newKeyFile(), checked(passphrase)));
        text = await file.read();
      }
      if (text === undefined) throw noKeyFile(path);
      return providerOf(await read(path, text, passphrase));
    },

    async add(uri, { ask }) {
      const { path, file, passphrase } = await open(uri, { ask });
      const first = newKeyFile();
      if ((await file.read()) === undefined) await file.create(await locked(first, checked(passphrase)));
      const found = await read(path, (await file.read()) ?? '', passphrase);
      if (found.active === first.active) return first.active;
      let added = '';
      await file.change(async (text) => {
        const content = withNewKey(await read(path, text, passphrase));
        added = content.active;
        return locked(content, passphrase);
      });
      return added;
    },

    async retire(uri, id, { ask }) {
      const { path, file, passphrase } = await open(uri, { ask });
      const text = await file.read();
      if (text === undefined) throw noKeyFile(path);
      const content = await read(path, text, passphrase);
      const aside = asidePath(path, id);
      await lockedFile(aside).create(await locked(onlyKey(content, id), passphrase));
      if (content.keys.length === 1) await unlink(path);
      else await file.change(async (now) => locked(withoutKey(await read(path, now, passphrase), id), passphrase));
      return aside;
    },

    fileOf: (uri) => parse(uri).path,

    async stamp(uri) {
      return stampOf(parse(uri).path);
    },
  };
}

type Source = { file: string } | { credential: string } | undefined;

function parse(uri: string): { path: string; source: Source } {
  const { rest, options } = uriParts(uri, FORM, ['passphrase-file', 'credential']);
  const path = pathOf(`file:${rest}`, FORM);
  const { 'passphrase-file': file, credential } = options;
  if (file !== undefined && credential !== undefined) throw new Misconfigured(`${path}: name one of ${NEEDS}`);
  if (file !== undefined) {
    if (!file.startsWith('/')) throw new Misconfigured(`${path}: "passphrase-file" is a whole path`);
    return { path, source: { file } };
  }
  if (credential === undefined) return { path, source: undefined };
  return { path, source: { credential: credentialName(credential, path) } };
}

async function passphraseOf(path: string, source: Source, ask: AskPassphrase | undefined): Promise<string> {
  if (source === undefined) {
    if (ask) return ask(`the root keys ${path}`);
    throw new Misconfigured(`the root keys ${path} need a passphrase, and there is no terminal: name ${NEEDS}`);
  }
  if ('file' in source) {
    const text = await privateText({
      path: source.file,
      name: 'file of a passphrase',
      ifExposed: IF_EXPOSED,
    }).read();
    if (text === undefined) throw new Misconfigured(`there is no ${source.file}, which has the passphrase of ${path}`);
    return firstLine(text, source.file);
  }
  const text = await readCredential(source.credential, `the passphrase of ${path} is`);
  return firstLine(text, source.credential);
}

function firstLine(text: string, where: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw new Misconfigured(`${where} has no passphrase in its first line`);
  return line;
}

function checked(passphrase: string): string {
  if (passphrase.length >= MIN_PASSPHRASE_CHARS) return passphrase;
  throw new Misconfigured(`a passphrase of root keys has at least ${MIN_PASSPHRASE_CHARS} characters`);
}

function lockedFile(path: string): PrivateFile<string> {
  return privateText({ path, name: 'root key file', ifExposed: IF_EXPOSED });
}

/** The parser's own error would quote the text, which is keys. */
function parsed(content: string, path: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new Misconfigured(`${path} is not a root key file: what the passphrase opens is something else`);
  }
}
