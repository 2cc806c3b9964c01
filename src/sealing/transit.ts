import { readFile } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { privateText } from '../files/private-file.ts';
import { DecryptionFailed, Misconfigured, Unavailable } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { committedRootKey } from './committed-key.ts';
import { decoded, spelledOptions, uriParts } from './root-key-uri.ts';
import { type RootKeyPlaces, type RootKeyProvider, rootKeysOf } from './root-keys.ts';

const FORM = 'transit+https://HOST:8200/MOUNT/KEY?token-file=/PATH';
const OPTIONS = ['token-file', 'namespace', 'ca-file', 'id'] as const;
const TIMEOUT_SECONDS = 10;
const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 16;

/**
 * Root keys in the Transit engine of OpenBao or Vault: one key of the engine for each URI, which never leaves it. The token is read from
 * its file at each request, so that an agent may renew it there. A token needs `update` on `MOUNT/encrypt/KEY` and `MOUNT/decrypt/KEY`.
 */
export const transitKeys: RootKeyPlaces = {
  form: FORM,

  canonical(uri) {
    const { url, mount, key, tokenFile, namespace, caFile, idOption: id } = parse(uri);
    const options = { 'token-file': tokenFile, namespace, 'ca-file': caFile, id };
    return `transit+${url.protocol}//${url.host}/${mount}/${key}${spelledOptions(options)}`;
  },

  async open(uri, { create }) {
    const transit = await connect(uri);
    if (create) await makeKey(transit);
    return providerOf(transit);
  },

  async add(uri) {
    const transit = await connect(uri);
    try {
      await makeKey(transit);
      // A key that cannot be used is better found out now.
      const { active } = providerOf(transit);
      await active.wrap(new Uint8Array(32), new Uint8Array());
      return active.id;
    } finally {
      transit.close();
    }
  },

  async retire(uri) {
    const { mount, key } = parse(uri);
    return `the key stays in Transit: destroy it there (${mount}/keys/${key}) when no backup needs it any more`;
  },

  fileOf: () => undefined,

  stamp: async () => '',
};

/** A key of an engine, and the way there. */
interface Transit {
  name: string;
  id: string;
  mount: string;
  key: string;
  /** @returns the status and the answer's `data` @throws {Unavailable} */
  post(
    path: string,
    body: object,
  ): Promise<{ status: number; data: Record<string, unknown>; errors: readonly string[] }>;
  close(): void;
}

function providerOf(transit: Transit): RootKeyProvider {
  const { name, id, mount, key, post } = transit;
  const rootKey = committedRootKey(id, name, {
    async encrypt(plaintext, context) {
      const answer = await post(`${mount}/encrypt/${key}`, {
        plaintext: base64(plaintext),
        associated_data: base64(context),
      });
      const { ciphertext } = answer.data;
      if (answer.status === 200 && typeof ciphertext === 'string') return Buffer.from(ciphertext, 'utf8');
      throw refusal(transit, answer);
    },
    async decrypt(ciphertext, context) {
      const answer = await post(`${mount}/decrypt/${key}`, {
        ciphertext: Buffer.from(ciphertext).toString('utf8'),
        associated_data: base64(context),
      });
      const { plaintext } = answer.data;
      if (answer.status === 200 && typeof plaintext === 'string') return Buffer.from(plaintext, 'base64');
      if (answer.status === 400 && !answer.errors.some((error) => /key not found/i.test(error))) {
        throw new DecryptionFailed(
          `a data key does not open: ${name} says that it is not one of the key ${mount}/${key}`,
        );
      }
      throw refusal(transit, answer);
    },
  });
  return { ...rootKeysOf([rootKey], id), keys: [rootKey], close: async () => transit.close() };
}

/** Makes the key where it is not there; a token that may not is taken to mean that somebody else did. */
async function makeKey(transit: Transit): Promise<void> {
  const answer = await transit.post(`${transit.mount}/keys/${transit.key}`, { type: 'aes256-gcm96' });
  if (answer.status >= 400 && answer.status !== 403) throw refusal(transit, answer);
}

function refusal({ name, mount, key }: Transit, { status }: { status: number }): Misconfigured | Unavailable {
  if (status === 403) {
    return new Unavailable(
      `${name} refuses the token: it has ended, or may not use ${mount}/encrypt/${key} and ${mount}/decrypt/${key}`,
    );
  }
  if (status === 503) return new Unavailable(`${name} is sealed, or not the active node: unseal it`);
  if (status >= 300 && status < 400) {
    return new Unavailable(
      `${name} sends elsewhere (HTTP ${status}), where its token is not sent: name the active node`,
    );
  }
  if (status === 404 || status === 400) {
    return new Unavailable(
      `${name} has no key ${mount}/${key}, or no such engine (HTTP ${status}): look at its namespace too`,
    );
  }
  return new Unavailable(`${name} cannot answer (HTTP ${status})`);
}

async function connect(uri: string): Promise<Transit> {
  const { url, mount, key, tokenFile, namespace, caFile, id } = parse(uri);
  // Users read such messages too: its address is for operators, who see it in "keys list".
  const name = 'the key server';
  const ca = caFile === undefined ? undefined : await readCa(caFile);
  const { Agent, request } = url.protocol === 'https:' ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  const token = privateText({
    path: tokenFile,
    name: 'token file of the key server',
    ifExposed: ', and revoke the token if someone may have read it',
  });
  await token.read();

  async function send(path: string, body: string): Promise<IncomingMessage> {
    const found = (await token.read())?.trim();
    if (!found) throw new Unavailable(`${tokenFile} has no token for ${name}`);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'x-vault-request': 'true',
      'x-vault-token': found,
      ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
    };
    const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
    return new Promise((resolve, reject) => {
      const target = new URL(`/v1/${path}`, url);
      const sent = request(target, { method: 'POST', agent, headers, signal, ...(ca && { ca }) }, resolve);
      sent.on('error', (cause) => reject(unreachable(name, cause)));
      sent.end(body);
    });
  }

  return {
    name,
    id,
    mount,
    key,
    async post(path, content) {
      const answer = await send(path, JSON.stringify(content));
      const body = await bodyOf(answer).catch((cause) => {
        throw unreachable(name, cause);
      });
      const parsed = parsedJson(body);
      const { data, errors } = Object(parsed) as { data?: unknown; errors?: unknown };
      return {
        status: answer.statusCode ?? 0,
        data: Object(data) as Record<string, unknown>,
        errors: Array.isArray(errors) ? errors.map(String) : [],
      };
    },
    close: () => agent.destroy(),
  };
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) answer.destroy(new Error('too long'));
  });
  return text(answer);
}

function unreachable(name: string, cause: unknown): Unavailable {
  const { code, name: kind } = cause as NodeJS.ErrnoException;
  const why =
    kind === 'AbortError' || kind === 'TimeoutError' ? `no answer in ${TIMEOUT_SECONDS} seconds` : (code ?? kind);
  return new Unavailable(
    `${name}, which has the root keys, cannot be reached (${why}): what is in memory goes on being used, and new keys wait for it`,
    { cause },
  );
}

function parse(uri: string) {
  const { rest, options } = uriParts(uri, FORM, OPTIONS);
  const scheme = uri.slice(0, uri.indexOf(':')).toLowerCase() === 'transit+http' ? 'http' : 'https';
  const url = URL.parse(`${scheme}:${rest}`) ?? undefined;
  const parts = (url?.pathname ?? '').split('/').slice(1);
  const [key = '', ...mount] = parts.map((part) => decoded(part, FORM)).reverse();
  const isNamed = [key, ...mount].every((part) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part)) && mount.length > 0;
  if (url?.username !== '' || url.password !== '' || url.hash !== '' || !isNamed) {
    throw new Misconfigured(`root keys of a key server are named ${FORM}`);
  }
  if (scheme === 'http' && !isLoopback(url.hostname)) {
    throw new Misconfigured('a key server is reached over https; transit+http: is for one on this machine alone');
  }
  const { 'token-file': tokenFile, 'ca-file': caFile, namespace } = options;
  if (!tokenFile?.startsWith('/')) throw new Misconfigured(`root keys of a key server need "token-file": ${FORM}`);
  if (caFile !== undefined && !caFile.startsWith('/')) throw new Misconfigured('"ca-file" is a whole path');
  if (namespace !== undefined && !/^[\w./-]+$/.test(namespace)) {
    throw new Misconfigured('"namespace" has letters, digits and "._-/" alone');
  }
  const path = mount.reverse().join('/');
  const id = options.id ?? ['transit', namespace, path, key].filter((part) => part !== undefined).join(':');
  return { url, mount: path, key, tokenFile, namespace, caFile, id, idOption: options.id };
}

async function readCa(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error) => {
    throw new Misconfigured(`the certificates ${path} of the key server cannot be read (${error.code})`);
  });
}

function parsedJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}
