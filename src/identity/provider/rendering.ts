import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { confirmCodePage, deviceConnectedPage, deviceRefusedPage, enterCodePage } from '../../pages/device.ts';
import { notice, type Page } from '../../pages/page.ts';
import { signOutPage } from '../../pages/sign-out.ts';

type Features = NonNullable<Configuration['features']>;
type DeviceFlowPages = Required<
  Pick<
    NonNullable<Features['deviceFlow']>,
    'userCodeInputSource' | 'userCodeConfirmSource' | 'successSource' | 'deviceInfo'
  >
>;
type SignOutPages = Required<
  Pick<NonNullable<Features['rpInitiatedLogout']>, 'logoutSource' | 'postLogoutSuccessSource'>
>;

/** The pages of the provider while a device is connected. */
export const deviceFlowPages: DeviceFlowPages = {
  userCodeInputSource(ctx, _form, _out, error) {
    if (error?.name === 'AbortedError') return show(ctx, deviceRefusedPage());
    const wrong = error && (CODE_PROBLEMS[error.name] ?? 'That did not work. Start the login again on your device.');
    show(ctx, enterCodePage(formOf(ctx), { ...(wrong !== undefined && { wrong, status: 400 }) }));
  },
  userCodeConfirmSource(ctx, _form, client, device, userCode) {
    show(ctx, confirmCodePage(formOf(ctx), { userCode, client: client.clientName, device }));
  },
  successSource: (ctx) => show(ctx, deviceConnectedPage()),
  deviceInfo: (ctx) => ({ ip: ctx.ip, ua: ctx.get('user-agent') }),
};

const CODE_PROBLEMS: Record<string, string> = {
  NoCodeError: 'Enter the code.',
  NotFoundError: 'There is no such code. Check each letter, or start the login again on your device.',
  ExpiredError: 'This code has ended. Start the login again on your device.',
  AlreadyUsedError: 'This code was used already. Start the login again on your device.',
};

/**
 * The link with the code in it: shows what the person has to compare at once. (The provider would send the code on by a script.)
 */
export async function showLinkedCode(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
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
  show(ctx, confirmCodePage(formOf(ctx), { userCode, client: client?.clientName, device: code.deviceInfo }));
}

/**
 * A form whose page is from a session that has ended, or that came without its cookie: the person starts over. (The provider
 * begins a new session then and fails to save it.) An address that leads back to such a form, and to no login, is answered as one
 * that has ended.
 */
export async function startOverWithoutSession(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  try {
    await next();
  } catch (error) {
    const { oidc } = ctx;
    if (oidc?.session?.exp !== undefined) throw error;
    if (oidc?.route === 'device_resume') {
      return show(ctx, notice('Something went wrong', LOGIN_ENDED, { status: 400 }));
    }
    if (oidc?.route !== 'code_verification') throw error;
    ctx.redirect(oidc.urlFor('code_verification'));
    ctx.status = 303;
  }
}

const LOGIN_ENDED = 'This login has ended, or began in another browser. Start it again on your device.';

export const signOutPages: SignOutPages = {
  logoutSource(ctx) {
    const action = ctx.oidc.urlFor('end_session_confirm');
    show(ctx, signOutPage({ action, xsrf: xsrfOf(ctx) }));
  },
  postLogoutSuccessSource: (ctx) => show(ctx, notice('You are signed out', 'You can close this page.', { good: true })),
};

/** The page for a request that makes no sense. */
export const renderError: NonNullable<Configuration['renderError']> = (ctx, { error, error_description }) => {
  const text =
    error === 'server_error'
      ? 'Something is wrong with this server. Try again later.'
      : `The program or page that sent you here asked for something that this server refuses: ${error_description ?? error}.`;
  show(ctx, notice('Something went wrong', text, { status: ctx.status }));
};

function formOf(ctx: KoaContextWithOIDC): { action: string; xsrf: string } {
  return { action: ctx.oidc.urlFor('code_verification'), xsrf: xsrfOf(ctx) };
}

function xsrfOf({ oidc }: KoaContextWithOIDC): string {
  return String(oidc.session?.state?.['secret'] ?? '');
}

function show(ctx: KoaContextWithOIDC, { status, headers, html }: Page): void {
  ctx.status = status;
  ctx.set(headers);
  ctx.body = html;
}
