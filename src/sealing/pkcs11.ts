import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { stampOf } from '../files/file-stamp.ts';
import { privateText } from '../files/private-file.ts';
import { DecryptionFailed, Misconfigured, Unavailable } from '../protocol/errors.ts';
import { committedRootKey } from './committed-key.ts';
import { decoded, spelledOptions, uriParts } from './root-key-uri.ts';
import { type RootKeyPlaces, type RootKeyProvider, rootKeysOf } from './root-keys.ts';

const FORM = 'pkcs11:token=LABEL;object=KEY?module-path=/PATH/TO/MODULE.so&pin-source=/PATH/TO/PIN';
const FFI_FLAG = '--experimental-ffi';
const TIMEOUT_SECONDS = 20;
const NONCE_BYTES = 12;

/**
 * Root keys in an HSM or a token, by its PKCS#11 module (URIs of RFC 7512): one AES key for each URI, found by its label and known by its
 * `CKA_ID`. It needs Node 26. The module runs in a process of its own: `pkcs11-module.ts`.
 */
export const pkcs11Keys: RootKeyPlaces = {
  form: FORM,

  canonical(uri) {
    const { token, object, id, module, pinFile } = parse(uri);
    const parts = [`token=${encodeURIComponent(token)}`, `object=${encodeURIComponent(object)}`];
    if (id !== undefined) parts.push(`id=${id.replaceAll(/../g, '%$&')}`);
    return `pkcs11:${parts.join(';')}${spelledOptions({ 'module-path': module, 'pin-source': pinFile })}`;
  },

  open: (uri, { create }) => openToken(uri, create),

  async add(uri) {
    const provider = await openToken(uri, true);
    try {
      // A key that cannot be used is better found out now.
      await provider.active.wrap(new Uint8Array(32), new Uint8Array());
      return provider.active.id;
    } finally {
      await provider.close();
    }
  },

  async retire(uri) {
    const { token, object } = parse(uri);
    return `the key stays in the token: destroy "${object}" of "${token}" there when no backup needs it any more`;
  },

  fileOf: () => undefined,

  stamp: async (uri) => stampOf(parse(uri).pinFile),
};

async function openToken(uri: string, create: boolean): Promise<RootKeyProvider> {
  if (!process.allowedNodeEnvironmentFlags.has(FFI_FLAG)) {
    throw new Misconfigured('root keys in PKCS#11 tokens need Node 26 or newer, which can load a module (node:ffi)');
  }
  const place = parse(uri);
  // Users read such messages too: its label is for operators, who see it in "keys list".
  const name = 'the token of the root keys';
  const pin = await readPin(place.pinFile);
  const opening = { ...place, pin, create };
  let process_: Promise<ModuleProcess> | undefined;
  let refused: RefusedPin | undefined;
  let closed = false;

  async function running(): Promise<ModuleProcess> {
    if (closed) throw new Unavailable(`${name} was closed`);
    if (refused) throw refused;
    process_ ??= startModule(name, { ...opening, create: false });
    const started = process_;
    try {
      const module = await started;
      if (!module.ended()) return module;
    } catch (error) {
      if (process_ === started) process_ = undefined;
      if (error instanceof RefusedPin) refused = error;
      throw error;
    }
    if (process_ === started) process_ = undefined;
    return running();
  }

  const first = await startModule(name, opening);
  process_ = Promise.resolve(first);
  const rootKey = committedRootKey(`pkcs11-${first.id}`, name, {
    async encrypt(plaintext, context) {
      const iv = randomBytes(NONCE_BYTES);
      const sealed = await (await running()).ask({ encrypt: message(iv, context, plaintext) });
      return Buffer.concat([iv, sealed]);
    },
    async decrypt(ciphertext, context) {
      const [iv, sealed] = [ciphertext.subarray(0, NONCE_BYTES), ciphertext.subarray(NONCE_BYTES)];
      return (await running()).ask({ decrypt: message(iv, context, sealed) });
    },
  });
  return {
    ...rootKeysOf([rootKey], rootKey.id),
    keys: [rootKey],
    async close() {
      closed = true;
      await process_?.then(
        (module) => module.close(),
        () => {},
      );
    },
  };
}

/** A token locks itself after a few wrong PINs: whoever has tried one keeps this and throws it again. */
class RefusedPin extends Misconfigured {}

/** The process in which the module is loaded, logged in. */
interface ModuleProcess {
  /** `CKA_ID` of the key, hex. */
  id: string;
  ask(request: object): Promise<Buffer>;
  ended(): boolean;
  close(): void;
}

interface Reply {
  n: number;
  result?: string;
  kind?: 'misconfigured' | 'pin' | 'denied' | 'unavailable';
  message?: string;
}

async function startModule(name: string, opening: object): Promise<ModuleProcess> {
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const program = join(import.meta.dirname, `pkcs11-module.${extension}`);
  const child = spawn(process.execPath, [FFI_FLAG, '--disable-warning=ExperimentalWarning', program], {
    // A module of somebody else's may write to its standard output: answers come by a way of their own.
    stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
    env: environmentOf(process.env),
  });
  const [requests, , , answers] = child.stdio as unknown as [Writable, null, null, Readable];
  const waiting = new Map<number, { resolve(reply: Reply): void; reject(error: unknown): void }>();
  let last = 0;
  let ended = false;
  const end = () => {
    ended = true;
    for (const { reject } of waiting.values())
      reject(new Unavailable(`${name}: its module ended; it is started again`));
    waiting.clear();
  };
  child.on('error', end).on('exit', end);
  requests.on('error', () => {});
  answers.on('error', () => {});
  createInterface({ input: answers }).on('line', (line) => {
    const reply = replyOf(line);
    // What does not answer in lines of its own is not to be relied on any more.
    if (!reply) {
      child.kill('SIGKILL');
      return end();
    }
    waiting.get(reply.n)?.resolve(reply);
    waiting.delete(reply.n);
  });
  // The process ends with this one: its standard input does.
  unrefAll(child);

  function send(request: object): Promise<Reply> {
    const n = ++last;
    return new Promise((resolve, reject) => {
      if (ended) return reject(new Unavailable(`${name}: its module ended`));
      const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_SECONDS * 1000);
      const done = () => {
        clearTimeout(timer);
        if (waiting.size <= 1) unrefAll(child);
      };
      refAll(child);
      waiting.set(n, {
        resolve: (reply) => {
          done();
          resolve(reply);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      requests.write(`${JSON.stringify({ n, ...request })}\n`);
    });
  }

  async function result(request: object): Promise<string> {
    const { result: found, kind, message: why } = await send(request);
    if (found !== undefined) return found;
    if (kind === 'pin') {
      throw new RefusedPin(
        `${name}: ${why}. It is not tried again, as tokens lock themselves after a few: put the right one into its file`,
      );
    }
    if (kind === 'misconfigured') throw new Misconfigured(`${name}: ${why}`);
    if (kind === 'denied') throw new DecryptionFailed(`a data key does not open: ${name} says that ${why}`);
    // A session that went does not come back: the next request starts anew.
    child.kill('SIGKILL');
    throw new Unavailable(`${name} cannot be used: ${why}`);
  }

  try {
    const id = await result({ open: opening });
    return {
      id,
      ask: async (request) => Buffer.from(await result(request), 'base64'),
      ended: () => ended,
      close: () => child.kill('SIGKILL'),
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** A module finds its configuration by variables, as SOFTHSM2_CONF; the server's own and Node's are not for it. */
function environmentOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:PANDA_|PG|NODE_|CREDENTIALS_)/.test(name)));
}

function replyOf(line: string): Reply | undefined {
  try {
    const reply = Object(JSON.parse(line)) as Reply;
    return typeof reply.n === 'number' ? reply : undefined;
  } catch {
    return undefined;
  }
}

/** Nothing that waits for a module keeps a command from ending, but an answer that is awaited does. */
function unrefAll(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) (stream as unknown as { unref?(): void } | null)?.unref?.();
}

function refAll(child: ChildProcess): void {
  child.ref();
  for (const stream of child.stdio) (stream as unknown as { ref?(): void } | null)?.ref?.();
}

function message(iv: Uint8Array, context: Uint8Array, data: Uint8Array) {
  const encoded = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return { iv: encoded(iv), aad: encoded(context), data: encoded(data) };
}

interface Place {
  token: string;
  object: string;
  id?: string;
  module: string;
  pinFile: string;
}

function parse(uri: string): Place {
  const { rest, options } = uriParts(uri, FORM, ['module-path', 'pin-source']);
  const parts: Partial<Record<string, string>> = {};
  for (const part of rest.split(';')) {
    const at = part.indexOf('=');
    const name = part.slice(0, at);
    if (!['token', 'object', 'id', 'type'].includes(name) || name in parts) {
      throw new Misconfigured(
        `root keys: "${name}" is unknown in a PKCS#11 URI here, or twice there; the form is ${FORM}`,
      );
    }
    parts[name] = name === 'id' ? hexOf(part.slice(at + 1)) : decoded(part.slice(at + 1), FORM);
  }
  const { token, object, id } = parts;
  const module = options['module-path'];
  const pinFile = options['pin-source']?.replace(/^file:(?:\/\/)?(?=\/)/, '');
  if (!token || !object || !module?.startsWith('/') || !pinFile?.startsWith('/')) {
    throw new Misconfigured(`root keys of a PKCS#11 token are named ${FORM}, with whole paths`);
  }
  return { token, object, module, pinFile, ...(id !== undefined && { id }) };
}

/** `%01%AB`: bytes, which need be no UTF-8. */
function hexOf(id: string): string {
  if (/^(?:%[0-9a-f]{2})+$/i.test(id)) return id.replaceAll('%', '').toLowerCase();
  throw new Misconfigured('the "id" of a PKCS#11 URI is written %01%AB, each byte with "%"');
}

async function readPin(path: string): Promise<string> {
  const text = await privateText({
    path,
    name: 'file of a PIN',
    ifExposed: ', and change the PIN if someone may have read it',
  }).read();
  const [pin = ''] = (text ?? '').split(/\r?\n/, 1);
  if (pin === '') throw new Misconfigured(`${path} has no PIN in its first line, or is not there`);
  return pin;
}
