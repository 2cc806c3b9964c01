import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import {
  confirmCodePage,
  deviceConnectedPage,
  devicePageExpired,
  deviceRefusedPage,
  enterCodePage,
} from '../../pages/device.ts';
import { drawPage, notice, type Page } from '../../pages/page.ts';
import type { Person } from '../../pages/person.ts';
import { signedOutPage, signOutPage } from '../../pages/sign-out.ts';
import { PATHS, SIGN_IN_PATH } from './paths.ts';

type Features = NonNullable<Configuration['features']>;
type Middleware = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>;

/** The pages that the provider sends, under the name of the site. */
export interface ProviderPages {
  deviceFlow: Required<
    Pick<
      NonNullable<Features['deviceFlow']>,
      'userCodeInputSource' | 'userCodeConfirmSource' | 'successSource' | 'deviceInfo'
    >
  >;
  signOut: Required<Pick<NonNullable<Features['rpInitiatedLogout']>, 'logoutSource' | 'postLogoutSuccessSource'>>;
  renderError: NonNullable<Configuration['renderError']>;
  /** Goes before the provider's own, in this order. */
  middleware: readonly Middleware[];
}

export function providerPages({
  siteName,
  findAccount,
}: {
  siteName: string;
  /** The account with this `sub`, if it may be used. */
  findAccount: (subject: string) => Promise<Person | undefined>;
}): ProviderPages {
  function show(ctx: KoaContextWithOIDC, page: Page): void {
    const { status, headers, html } = drawPage(page, siteName);
    ctx.status = status;
    ctx.set(headers);
    ctx.body = html;
  }

  /** The page that asks whether a program may be connected to the account that is signed in. */
  async function showConfirmation(
    ctx: KoaContextWithOIDC,
    { userCode, client, address }: { userCode: string; client: string | undefined; address: string | undefined },
  ): Promise<void> {
    const person = await findAccount(ctx.oidc.session?.accountId ?? '');
    if (!person) return signInFirst(ctx, userCode);
    show(ctx, confirmCodePage(formOf(ctx), { userCode, client, address, browserAddress: ctx.ip, person }));
  }

  /**
   * Somebody who connects a device signs in first, and is told then who would be connected. Before that nothing is done with a code, so
   * that nobody learns which there are.
   */
  const signInBeforeDevice: Middleware = async (ctx, next) => {
    if (ctx.path !== PATHS.code_verification) return next();
    const { accountId } = await (ctx.app as unknown as Provider).Session.get(ctx);
    if (accountId !== undefined && (await findAccount(accountId))) return next();
    const { user_code: code } = ctx.query;
    signInFirst(ctx, typeof code === 'string' ? code : '');
  };

  /**
   * The link with the code in it: shows what the person has to compare at once. (The provider would send the code on by a script.)
   */
  const showLinkedCode: Middleware = async (ctx, next) => {
    await next();
    const { oidc } = ctx;
    if (ctx.method !== 'GET' || oidc?.route !== 'code_verification' || ctx.status !== 200) return;
    const typed = oidc.params?.['user_code'];
    if (typeof typed !== 'string') return;
    const code = await oidc.provider.DeviceCode.findByUserCode(typed.toUpperCase().replace(/\W/g, ''));
    if (!code || code.accountId !== undefined || code.error !== undefined) {
      const wrong = CODE_PROBLEMS[code ? 'AlreadyUsedError' : 'NotFoundError'] ?? '';
      return show(ctx, enterCodePage(formOf(ctx), { wrong, status: 400 }));
    }
    const client = await oidc.provider.Client.find(code.clientId ?? '');
    const userCode = code.userCode.replace(/^(.{4})(.{4})$/, '$1-$2');
    await showConfirmation(ctx, { userCode, client: client?.clientName, address: addressOf(code.deviceInfo) });
  };

  /**
   * A program may ask that the person signs in once more (`prompt=login`), after they confirmed its code: until they did, the code stays
   * as good as it was.
   */
  const keepAbandonedCode: Middleware = async (ctx, next) => {
    await next();
    const { oidc } = ctx;
    const code = oidc?.route === 'code_verification' ? oidc.entities.DeviceCode : undefined;
    if (!code?.inFlight || code.accountId !== undefined || code.error !== undefined) return;
    code.inFlight = false;
    await code.save();
  };

  /** An address or a form of a login whose session has ended. (The provider begins a new session then and fails to save it.) */
  const startOverWithoutSession: Middleware = async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const { oidc } = ctx;
      if (oidc?.session?.exp !== undefined) throw error;
      if (oidc?.route !== 'device_resume' && oidc?.route !== 'code_verification') throw error;
      show(ctx, loginExpired());
    }
  };

  return {
    deviceFlow: {
      userCodeInputSource(ctx, _form, _out, error) {
        if (error?.name === 'AbortedError') return show(ctx, deviceRefusedPage());
        // The form of another page, or of none: its mark is not that of the session.
        if (error?.name === 'InvalidRequest') return show(ctx, devicePageExpired(ctx.oidc.params?.['user_code']));
        const wrong =
          error && (CODE_PROBLEMS[error.name] ?? 'That did not work. Start the login again in your terminal.');
        show(ctx, enterCodePage(formOf(ctx), { ...(wrong !== undefined && { wrong, status: 400 }) }));
      },
      userCodeConfirmSource: (ctx, _form, client, device, userCode) =>
        showConfirmation(ctx, { userCode, client: client.clientName, address: addressOf(device) }),
      successSource: (ctx) => show(ctx, deviceConnectedPage(ctx.oidc.client?.clientName)),
      deviceInfo: (ctx) => ({ ip: ctx.ip, ua: ctx.get('user-agent') }),
    },
    signOut: {
      logoutSource(ctx) {
        const action = ctx.oidc.urlFor('end_session_confirm');
        show(ctx, signOutPage({ action, xsrf: xsrfOf(ctx) }));
      },
      postLogoutSuccessSource: (ctx) => show(ctx, signedOutPage()),
    },
    /** The page for a request that makes no sense. */
    renderError(ctx, { error, error_description }) {
      if (error_description === NO_SUCH_LOGIN) return show(ctx, loginExpired());
      const text =
        error === 'server_error'
          ? 'Something is wrong with this server. Try again later.'
          : `The program or page that sent you here asked for something that this server refuses: ${error_description ?? error}.`;
      show(ctx, notice('Something went wrong', text, { status: ctx.status }));
    },
    middleware: [startOverWithoutSession, signInBeforeDevice, showLinkedCode, keepAbandonedCode],
  };
}

/** The library's words for an address behind a page of a login of which the browser has no session. */
const NO_SUCH_LOGIN = 'authorization request has expired';

const CODE_PROBLEMS: Record<string, string> = {
  NoCodeError: 'Enter the code.',
  NotFoundError: 'There is no such code. Check each letter, or start the login again in your terminal.',
  ExpiredError: 'This code has expired. Start the login again in your terminal.',
  AlreadyUsedError: 'This code was used already. Start the login again in your terminal.',
};

function loginExpired(): Page {
  return notice(
    'This link has expired',
    'The login has ended, or began in another browser. Start it again in your terminal.',
    {
      status: 400,
    },
  );
}

function signInFirst(ctx: KoaContextWithOIDC, userCode: string): void {
  ctx.redirect(`${SIGN_IN_PATH}?${new URLSearchParams({ device: userCode })}`);
  ctx.status = 303;
}

function addressOf(device: Record<string, unknown> | undefined): string | undefined {
  return typeof device?.['ip'] === 'string' ? device['ip'] : undefined;
}

function formOf(ctx: KoaContextWithOIDC): { action: string; xsrf: string } {
  return { action: ctx.oidc.urlFor('code_verification'), xsrf: xsrfOf(ctx) };
}

function xsrfOf({ oidc }: KoaContextWithOIDC): string {
  return String(oidc.session?.state?.['secret'] ?? '');
}
