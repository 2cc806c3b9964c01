import { appendAudit, SYSTEM } from '../audit/audit.ts';
import { NotFound } from '../protocol/errors.ts';
import { MAX_SHOWN_CHARS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import * as rows from '../store/provider-records.ts';
import type { Store } from '../store/store.ts';
import { findActiveAccount, logOutAccount } from './accounts.ts';
import type { OwnRecords } from './own-records.ts';
import { openRecord, sealRecord } from './provider/sealed-record.ts';

/** A program or a browser that somebody logged in. Times are milliseconds since 1970 UTC. */
export interface Login {
  /** As its owner names it to {@link Logins.end}. */
  readonly id: string;
  /** The same as tokens carry it. */
  readonly claim: string;
  readonly kind: 'program' | 'browser';
  /** The name of the program; null where nothing was noted. */
  readonly program: string | null;
  /** The machine, or the browser and its system, as it says itself; null as above. */
  readonly device: string | null;
  /** The address that it was used from last; null as above. */
  readonly address: string | null;
  readonly createdAt: number;
  /** When it was given tokens last. */
  readonly usedAt: number;
  readonly expiresAt: number;
}

/** One's logins at the embedded provider. A token that an operator printed is of none. */
export interface Logins {
  /** Those that have not ended, the newest first. */
  list(subject: string): Promise<Login[]>;
  /** Ends one: its tokens are void within `ACCOUNT_RECHECK_SECONDS`, and it gets no others. @throws {NotFound} */
  end(subject: string, id: string): Promise<void>;
  /** Ends all, and makes every token of the account void. @throws {NotFound} */
  endAll(subject: string): Promise<void>;
}

/** The maker and place of a login, noted when it is given tokens. */
export interface LoginNote {
  subject: string;
  /** The id of the grant of a program, or of the session of a browser. */
  of: string;
  program: string;
  userAgent: string;
  address: string;
  expiresAt: number;
}

/** True for a login, as a token names it, that was not ended. */
export function isLoginThere(store: Store, login: string): Promise<boolean> {
  return rows.hasProviderRecord(store.db, 'Grant', login);
}

/** `clock` is in milliseconds. */
export function createLogins({
  store,
  records,
  clock,
}: {
  store: Store;
  records: OwnRecords;
  clock: () => number;
}): Logins {
  async function list(subject: string): Promise<Login[]> {
    const found = await rows.listLoginRecords(store.db, subject, clock());
    const opened = found.map((row) => ({ row, payload: JSON.parse(openRecord(records, row)) }));
    const notes = new Map(
      opened.filter(({ row }) => row.model === 'Login').map(({ row, payload }) => [row.id_hash, payload as Noted]),
    );
    return opened
      .flatMap(({ row, payload }) => (row.model === 'Login' ? [] : [loginOf(row, payload, notes)]))
      .sort((a, b) => b.usedAt - a.usedAt);
  }

  return {
    list,

    async end(subject, id) {
      const login = (await list(subject)).find((one) => one.id === id);
      if (!login) throw new NotFound(`you have no login ${shownText(id, MAX_SHOWN_CHARS)}; "pbook logins" lists them`);
      await store.write(async (tx) => {
        await rows.deleteLoginRecords(tx, subject, login.claim);
        await appendAudit(tx, clock, SYSTEM, `account:${subject}`, 'login.end', { account: subject, login: id });
      });
    },

    async endAll(subject) {
      const account = await findActiveAccount(store, subject);
      if (!account) throw new NotFound('you have no account here');
      await logOutAccount(store, clock, account.name, `account:${subject}`);
    },
  };
}

/** Keeps who a login is and when it was used last. */
export async function noteLogin(
  { store, records, clock }: { store: Store; records: OwnRecords; clock: () => number },
  { subject, of, program, userAgent, address, expiresAt }: LoginNote,
): Promise<void> {
  const place = {
    model: 'Login',
    id_hash: records.hash(of),
    subject,
    grant_id: null,
    user_code: null,
    uid: null,
    expires_at: expiresAt,
  };
  const noted: Noted = { program, device: deviceName(userAgent), address, usedAt: clock() };
  const record = { ...place, payload: sealRecord(records, place, JSON.stringify(noted)) };
  await store.write((tx) => rows.upsertProviderRecord(tx, record));
}

/** The provider's record of a grant or a session; `iat` and `loginTs` in seconds. */
interface Kept {
  iat: number;
  loginTs?: number;
}

interface Noted {
  program: string;
  device: string;
  address: string;
  usedAt: number;
}

const ID_CHARS = 12;

function loginOf(row: rows.ProviderRecord, { iat, loginTs = iat }: Kept, notes: ReadonlyMap<string, Noted>): Login {
  const kind = row.model === 'Grant' ? 'program' : 'browser';
  const claim = (kind === 'program' ? row.id_hash : row.uid) ?? '';
  const note = notes.get(claim);
  const createdAt = loginTs * 1000;
  return {
    id: claim.slice(0, ID_CHARS),
    claim,
    kind,
    program: note?.program ?? null,
    device: note?.device ?? null,
    address: note?.address ?? null,
    createdAt,
    usedAt: note?.usedAt ?? createdAt,
    expiresAt: row.expires_at ?? Number.MAX_SAFE_INTEGER,
  };
}

const BROWSERS = [
  [/\bEdg\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\//, 'Firefox'],
  [/Chrom(e|ium)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
] as const;
const SYSTEMS = [
  [/\bAndroid\b/, 'Android'],
  [/\b(iPhone|iPad)\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
] as const;

/** A `User-Agent` for people: the machine that our programs name, or the browser and its system. */
function deviceName(userAgent: string): string {
  const machine = /^panda-secrets\/\S+ \((.+)\)$/.exec(userAgent)?.[1];
  const browser = BROWSERS.find(([sign]) => sign.test(userAgent))?.[1];
  const system = SYSTEMS.find(([sign]) => sign.test(userAgent))?.[1];
  const name = machine ?? (browser && system ? `${browser} on ${system}` : userAgent);
  return shownText(name, MAX_SHOWN_CHARS);
}
