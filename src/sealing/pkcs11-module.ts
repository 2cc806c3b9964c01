// A process of its own that loads the module of an HSM (PKCS#11 v2.40) with node:ffi and answers lines of JSON on its standard input: so that
// a module of somebody else's that hangs or crashes takes no server with it, and is not in the memory in which secrets are. Its answers go to
// descriptor 3, as a module may write to standard output. It is run as it stands and imports nothing of the project.

import { randomBytes } from 'node:crypto';
import { DynamicLibrary, dlopen, getRawPointer } from 'node:ffi';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

type Bytes = Uint8Array<ArrayBuffer>;
type Module = Record<string, (...args: (bigint | number | Bytes | BigUint64Array | null)[]) => bigint>;

/** CK_ULONG has 64 bits where this runs: Linux on 64-bit machines. */
const FUNCTIONS = {
  C_Initialize: ['pointer'],
  C_GetSlotList: ['u8', 'pointer', 'pointer'],
  C_GetTokenInfo: ['u64', 'pointer'],
  C_OpenSession: ['u64', 'u64', 'pointer', 'pointer', 'pointer'],
  C_Login: ['u64', 'u64', 'pointer', 'u64'],
  C_FindObjectsInit: ['u64', 'pointer', 'u64'],
  C_FindObjects: ['u64', 'pointer', 'u64', 'pointer'],
  C_FindObjectsFinal: ['u64'],
  C_GetAttributeValue: ['u64', 'u64', 'pointer', 'u64'],
  C_GenerateKey: ['u64', 'pointer', 'pointer', 'u64', 'pointer'],
  C_EncryptInit: ['u64', 'pointer', 'u64'],
  C_Encrypt: ['u64', 'pointer', 'u64', 'pointer', 'pointer'],
  C_DecryptInit: ['u64', 'pointer', 'u64'],
  C_Decrypt: ['u64', 'pointer', 'u64', 'pointer', 'pointer'],
} as const;

/** The descriptor of the answers. */
const ANSWERS = 3;

const CKR_OK = 0n;
const CKR_ALREADY_INITIALIZED = 0x191n;
const CKR_USER_ALREADY_LOGGED_IN = 0x100n;
/** What a module says of a ciphertext that is not its key's; SoftHSM has a general error for it. */
const REFUSALS = [0x05n, 0x20n, 0x21n, 0x35n, 0x40n, 0x41n];
const PIN_REFUSALS = [0xa0n, 0xa1n, 0xa2n, 0xa3n, 0xa4n, 0x102n];

const SERIAL_SESSION = 4n;
const RW_SESSION = 2n;
const USER = 1n;
const AES_KEY_GEN = 0x1080n;
const AES_GCM = 0x1087n;
const SECRET_KEY = 4n;
const AES = 0x1fn;
const A = { class: 0n, token: 1n, private: 2n, label: 3n, keyType: 0x100n, id: 0x102n, sensitive: 0x103n } as const;
const B = { encrypt: 0x104n, decrypt: 0x105n, valueLength: 0x161n, extractable: 0x162n } as const;
const KEY_BYTES = 32n;
const TAG_BITS = 128n;
const TAG_BYTES = 16;
const TOKEN_INFO_BYTES = 256;
const LABEL_BYTES = 32;
const MAX_FOUND = 2;

class Failure extends Error {
  readonly kind: 'misconfigured' | 'pin' | 'denied' | 'unavailable';
  constructor(kind: Failure['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

interface Opening {
  module: string;
  token: string;
  object: string;
  /** Hex, where several keys have the label. */
  id?: string;
  pin: string;
  create: boolean;
}

let call: ReturnType<typeof load>;
let session = 0n;
let key = 0n;

function load(path: string) {
  const lib = openLibrary(path);
  const module: Module = {};
  for (const [name, args] of Object.entries(FUNCTIONS)) {
    module[name] = lib.getFunction(name, { return: 'u64', arguments: [...args] }) as unknown as Module[string];
  }
  return (name: keyof typeof FUNCTIONS, ...args: Parameters<Module[string]>): bigint =>
    (module[name] as Module[string])(...args);
}

function openLibrary(path: string): DynamicLibrary {
  try {
    return new DynamicLibrary(path);
  } catch {
    throw new Failure('misconfigured', `the module ${path} cannot be loaded: is it there, and for this machine?`);
  }
}

/** Memory that does not move while a module looks at it. */
function bytes(content: Uint8Array | number): Bytes {
  const made = new Uint8Array(new ArrayBuffer(Math.max(typeof content === 'number' ? content : content.length, 1)));
  if (typeof content !== 'number') made.set(content);
  return typeof content === 'number' ? made : made.subarray(0, content.length);
}

function struct(...fields: bigint[]): Bytes {
  const made = bytes(fields.length * 8);
  new BigUint64Array(made.buffer).set(fields);
  return made;
}

/** CK_ATTRIBUTEs: type, pointer, length. The second part has to be kept until the call is over. */
function attributes(
  list: readonly (readonly [type: bigint, value: Uint8Array | bigint | boolean])[],
): [Bytes, unknown] {
  const values = list.map(([, value]) =>
    typeof value === 'bigint'
      ? struct(value)
      : bytes(typeof value === 'boolean' ? Uint8Array.of(value ? 1 : 0) : value),
  );
  return [
    struct(...list.flatMap(([type], n) => [type, pointerTo(values[n] as Bytes), BigInt((values[n] as Bytes).length)])),
    values,
  ];
}

function pointerTo(memory: Bytes): bigint {
  return getRawPointer(memory);
}

function must(name: keyof typeof FUNCTIONS, ...args: Parameters<Module[string]>): void {
  const result = call(name, ...args);
  if (result !== CKR_OK) throw new Failure('unavailable', `${name} failed (CKR 0x${result.toString(16)})`);
}

function open(opening: Opening): string {
  call = load(opening.module);
  const initialized = call('C_Initialize', null);
  if (initialized !== CKR_OK && initialized !== CKR_ALREADY_INITIALIZED) {
    throw new Failure('unavailable', `the module cannot be used (CKR 0x${initialized.toString(16)})`);
  }
  const slot = findToken(opening.token);
  const handle = new BigUint64Array(1);
  must('C_OpenSession', slot, SERIAL_SESSION | (opening.create ? RW_SESSION : 0n), null, null, handle);
  session = handle[0] as bigint;
  const pin = bytes(Buffer.from(opening.pin, 'utf8'));
  const login = call('C_Login', session, USER, pin, BigInt(pin.length));
  pin.fill(0);
  if (PIN_REFUSALS.includes(login)) {
    throw new Failure('pin', `the PIN is refused (CKR 0x${login.toString(16)})`);
  }
  if (login !== CKR_OK && login !== CKR_USER_ALREADY_LOGGED_IN) {
    throw new Failure('unavailable', `nobody can log in (CKR 0x${login.toString(16)})`);
  }
  let found = findKeys(opening);
  if (found.length === 0 && opening.create) {
    makeKey(opening);
    found = findKeys(opening);
  }
  const [first, second] = found;
  if (first === undefined) throw new Failure('misconfigured', `there is no AES key "${opening.object}" in the token`);
  if (second !== undefined) {
    throw new Failure('misconfigured', `several keys are called "${opening.object}": add ";id=%XX..." to say which`);
  }
  key = first;
  return idOf(first);
}

function findToken(label: string): bigint {
  const count = new BigUint64Array(1);
  must('C_GetSlotList', 1, null, count);
  const slots = new BigUint64Array(new ArrayBuffer(8 * Math.max(Number(count[0]), 1)));
  must('C_GetSlotList', 1, slots, count);
  const info = bytes(TOKEN_INFO_BYTES);
  const found = [...slots.subarray(0, Number(count[0]))].filter((slot) => {
    if (call('C_GetTokenInfo', slot, info) !== CKR_OK) return false;
    return Buffer.from(info.subarray(0, LABEL_BYTES)).toString('utf8').trimEnd() === label;
  });
  const [slot] = found;
  if (slot === undefined)
    throw new Failure('unavailable', `no token has the label that is named: is it plugged in and running?`);
  if (found.length > 1) throw new Failure('misconfigured', `several tokens are called "${label}"`);
  return slot;
}

function findKeys({ object, id }: Opening): bigint[] {
  const wanted: [bigint, Uint8Array | bigint][] = [
    [A.class, SECRET_KEY],
    [A.keyType, AES],
    [A.label, Buffer.from(object, 'utf8')],
  ];
  if (id !== undefined) wanted.push([A.id, Buffer.from(id, 'hex')]);
  const [template, kept] = attributes(wanted);
  must('C_FindObjectsInit', session, template, BigInt(wanted.length));
  const found = new BigUint64Array(new ArrayBuffer(8 * MAX_FOUND));
  const count = new BigUint64Array(1);
  must('C_FindObjects', session, found, BigInt(MAX_FOUND), count);
  must('C_FindObjectsFinal', session);
  void kept;
  return [...found.subarray(0, Number(count[0]))];
}

/** A key that never leaves the token. */
function makeKey({ object }: Opening): void {
  const [template, kept] = attributes([
    [A.class, SECRET_KEY],
    [A.keyType, AES],
    [A.token, true],
    [A.private, true],
    [A.sensitive, true],
    [B.extractable, false],
    [B.encrypt, true],
    [B.decrypt, true],
    [B.valueLength, KEY_BYTES],
    [A.label, Buffer.from(object, 'utf8')],
    [A.id, randomBytes(8)],
  ]);
  const made = new BigUint64Array(1);
  must('C_GenerateKey', session, struct(AES_KEY_GEN, 0n, 0n), template, BigInt(template.length / 24), made);
  void kept;
}

function idOf(handle: bigint): string {
  const value = bytes(64);
  const template = struct(A.id, pointerTo(value), BigInt(value.length));
  must('C_GetAttributeValue', session, handle, template, 1n);
  const length = Number(new BigUint64Array(template.buffer)[2]);
  if (length === 0)
    throw new Failure('misconfigured', 'the key has no CKA_ID, by which it would be known: give it one');
  return Buffer.from(value.subarray(0, length)).toString('hex');
}

/** AES-256-GCM: `iv` of 12 bytes, the tag behind the ciphertext. */
function crypt(how: 'Encrypt' | 'Decrypt', { iv, aad, data }: Record<'iv' | 'aad' | 'data', string>): string {
  const [nonce, bound, input] = [iv, aad, data].map((text) => bytes(Buffer.from(text, 'base64'))) as [
    Bytes,
    Bytes,
    Bytes,
  ];
  const parameters = struct(
    pointerTo(nonce),
    BigInt(nonce.length),
    BigInt(nonce.length * 8),
    pointerTo(bound),
    BigInt(bound.length),
    TAG_BITS,
  );
  const mechanism = struct(AES_GCM, pointerTo(parameters), BigInt(parameters.length));
  must(`C_${how}Init`, session, mechanism, key);
  const output = bytes(input.length + TAG_BYTES);
  const length = new BigUint64Array([BigInt(output.length)]);
  const result = call(`C_${how}`, session, input, BigInt(input.length), output, length);
  input.fill(0);
  if (how === 'Decrypt' && REFUSALS.includes(result)) throw new Failure('denied', 'it is not one of this key');
  if (result !== CKR_OK) throw new Failure('unavailable', `C_${how} failed (CKR 0x${result.toString(16)})`);
  const answer = Buffer.from(output.subarray(0, Number(length[0]))).toString('base64');
  output.fill(0);
  return answer;
}

interface Request {
  n: number;
  open?: Opening;
  encrypt?: Record<'iv' | 'aad' | 'data', string>;
  decrypt?: Record<'iv' | 'aad' | 'data', string>;
}

function answer(request: Request): string {
  if (request.open) return open(request.open);
  if (request.encrypt) return crypt('Encrypt', request.encrypt);
  if (request.decrypt) return crypt('Decrypt', request.decrypt);
  throw new Failure('unavailable', 'an unknown request');
}

// Its memory is closed to the other processes of its user, as the server's is (prctl, PR_SET_DUMPABLE).
try {
  const { functions } = dlopen(null, { prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] } });
  functions.prctl(4, 0n, 0n, 0n, 0n);
} catch {
  // No prctl here.
}
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  let reply: object;
  try {
    reply = { n: request.n, result: answer(request) };
  } catch (error) {
    const { kind = 'unavailable', message } = error as Failure;
    reply = { n: request.n, kind, message: error instanceof Failure ? message : 'the module cannot be used' };
  }
  writeSync(ANSWERS, `${JSON.stringify(reply)}\n`);
}
