import { type BinaryLike, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { InvalidArgument, Misconfigured, TooManyTries } from '../protocol/errors.ts';
import { MAX_PASSWORD_CHARS, MAX_WAITING_PASSWORDS, MIN_PASSWORD_CHARS } from '../protocol/limits.ts';

const derive = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt);

/**
 * scrypt's cost for new hashes: 32 MiB, three times over, one of the settings that OWASP's Password Storage Cheat Sheet holds
 * equal. The one with the least memory that still is a burden for an attacker's hardware: a flood of sign-ins must
 * not fill the server's.
 */
const COST = { ln: 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Hashes that are computed at once: each keeps one of Node's four threads busy, which files and databases need as well. */
const MAX_AT_ONCE = 2;
const BUSY_SECONDS = 10;

/**
 * Checks a new password: its length, and that it is not the account's name (NIST SP 800-63B: length counts, not the kinds of
 * characters).
 *
 * @throws {InvalidArgument} saying what is wanted; never with the password
 */
export function checkNewPassword(password: string, accountName: string): void {
  const { length } = [...password.normalize('NFKC')];
  if (length < MIN_PASSWORD_CHARS) {
    throw new InvalidArgument(`a password needs at least ${MIN_PASSWORD_CHARS} characters: several words, for example`);
  }
  if (length > MAX_PASSWORD_CHARS) {
    throw new InvalidArgument(`a password may have at most ${MAX_PASSWORD_CHARS} characters`);
  }
  if (password.toLowerCase().replaceAll(accountName, '').length < MIN_PASSWORD_CHARS / 2) {
    throw new InvalidArgument('a password may not be made of the name of its account');
  }
}

/**
 * The hash of a password with its salt and cost, in the PHC string format: `$scrypt$ln=15,r=8,p=3$SALT$HASH`. The cost of
 * new hashes can rise, and the old ones stay good.
 *
 * @throws {TooManyTries} as {@link isPassword}
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derived(password, salt, COST, HASH_BYTES);
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${base64(salt)}$${base64(hash)}`;
}

/**
 * True when `password` is the one with this hash. Without a hash the answer is false, after the time that a check takes, so that
 * the time does not tell which accounts there are.
 *
 * @throws {Misconfigured} when the hash is not one
 * @throws {TooManyTries} when `MAX_WAITING_PASSWORDS` are waiting already
 */
export async function isPassword(password: string, hash: string | null | undefined): Promise<boolean> {
  if (password.length > 4 * MAX_PASSWORD_CHARS) return false;
  if (!hash) {
    await derived(password, randomBytes(SALT_BYTES), COST, HASH_BYTES);
    return false;
  }
  const [, ln, r, p, salt, expected] =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([\w+/]+)\$([\w+/]+)$/.exec(hash) ?? [];
  if (!salt || !expected) throw new Misconfigured("the database holds a password's hash of an unknown kind");
  const wanted = Buffer.from(expected, 'base64');
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  return timingSafeEqual(wanted, await derived(password, Buffer.from(salt, 'base64'), cost, wanted.length));
}

const waiting: (() => void)[] = [];
let running = 0;

async function derived(password: string, salt: Buffer, { ln, r, p }: typeof COST, length: number): Promise<Buffer> {
  if (waiting.length >= MAX_WAITING_PASSWORDS) {
    throw new TooManyTries('too many people are signing in: try again in a few seconds', BUSY_SECONDS);
  }
  if (running === MAX_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    const N = 2 ** ln;
    return await derive(password.normalize('NFKC'), salt, length, { N, r, p, maxmem: 256 * N * r });
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
