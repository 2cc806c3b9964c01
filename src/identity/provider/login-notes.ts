import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Store } from '../../store/store.ts';
import { type LoginNote, noteLogin } from '../logins.ts';
import type { OwnRecords } from '../own-records.ts';

/** The program of a login that is a browser's. */
export const BROWSER = 'a browser';

/**
 * Notes of each login that is given tokens, and of each browser in which somebody signs in, who it is: its owner can tell by that
 * which one to end. A note that cannot be kept stops no login.
 */
export function noteLogins({
  onFault,
  ...keeping
}: {
  store: Store;
  records: OwnRecords;
  clock: () => number;
  onFault: (error: unknown) => void;
}): (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void> {
  return async (ctx, next) => {
    await next();
    const note = programOf(ctx) ?? browserOf(ctx);
    if (note) await noteLogin(keeping, note).catch(onFault);
  };
}

function programOf(ctx: KoaContextWithOIDC): LoginNote | undefined {
  const { oidc } = ctx;
  const { Grant: grant } = oidc?.entities ?? {};
  if (oidc?.route !== 'token' || ctx.status !== 200 || !grant?.accountId) return undefined;
  const program = oidc.client?.clientName ?? oidc.client?.clientId ?? '';
  return { subject: grant.accountId, of: grant.jti, program, ...whereFrom(ctx), expiresAt: (grant.exp ?? 0) * 1000 };
}

function browserOf(ctx: KoaContextWithOIDC): LoginNote | undefined {
  const { oidc } = ctx;
  const { session } = oidc ?? {};
  // The answer of a sign-in page, in the request that takes it up.
  if (!oidc?.result?.login || !session?.accountId) return undefined;
  const { accountId: subject, uid: of, exp = 0 } = session;
  return { subject, of, program: BROWSER, ...whereFrom(ctx), expiresAt: exp * 1000 };
}

function whereFrom(ctx: KoaContextWithOIDC): { userAgent: string; address: string } {
  return { userAgent: ctx.get('user-agent'), address: ctx.ip };
}
