import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Account } from '../../identity/accounts.ts';
import type { BrowserSession } from '../../identity/provider/browser-session.ts';
import { SIGN_IN_PATH } from '../../identity/provider/paths.ts';
import { homePage, welcomePage } from '../../pages/home.ts';
import { choosePasswordPage, passwordChosenPage } from '../../pages/password.ts';
import { Forbidden, InvalidArgument, NotFound, TooManyTries } from '../../protocol/errors.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { sendPage, sentence } from '../plugins/page-answers.ts';
import { repeatedPassword } from './password.ts';

/** Somebody who is signed in, in the browser that sent a request. */
export interface SignedIn {
  account: Account;
  session: BrowserSession;
}

interface Form {
  form_token?: unknown;
  login?: unknown;
  current?: unknown;
  password?: unknown;
  again?: unknown;
}

/** The start page, for visitors what this is, for somebody who is signed in their account; and the forms of that. */
export function accountRoutes(app: FastifyInstance, login: LoginRooms): void {
  app.get<{ Querystring: { done?: unknown } }>('/', async (request, reply) => {
    const signedIn = await signedInTo(request, reply, login);
    if (!signedIn) return sendPage(reply, welcomePage({ url: new URL(login.provider().url).origin }));
    const { account, session } = signedIn;
    const listed = await login.logins.list(account.subject);
    const logins = listed
      .map((one) => ({ ...one, isThis: one.claim === session.login }))
      .sort((a, b) => Number(b.isThis) - Number(a.isThis));
    const done = DONE.get(request.query.done);
    return sendPage(reply, homePage({ person: account, logins, formToken: session.formToken, done }));
  });

  app.post<{ Body: Form }>('/logins/end', async (request, reply) => {
    const signedIn = await sentBy(request, reply, login);
    if (!signedIn) return reply.redirect(SIGN_IN_PATH, 303);
    try {
      await login.logins.end(signedIn.account.subject, String(request.body.login));
    } catch (error) {
      if (!(error instanceof NotFound)) throw error; // It ended meanwhile, which is what was asked for.
    }
    return reply.redirect('/?done=ended', 303);
  });

  app.post<{ Body: Form }>('/logins/end-all', async (request, reply) => {
    const signedIn = await sentBy(request, reply, login);
    if (signedIn) await login.logins.endAll(signedIn.account.subject);
    return reply.redirect(SIGN_IN_PATH, 303);
  });

  app.get('/account/password', async (request, reply) => {
    const signedIn = await signedInTo(request, reply, login);
    if (!signedIn) return reply.redirect(SIGN_IN_PATH, 303);
    const { account, session } = signedIn;
    return sendPage(reply, choosePasswordPage(account.name, { current: session }));
  });

  app.post<{ Body: Form }>('/account/password', async (request, reply) => {
    const signedIn = await sentBy(request, reply, login);
    if (!signedIn) return reply.redirect(SIGN_IN_PATH, 303);
    const { account, session } = signedIn;
    try {
      const current = typeof request.body.current === 'string' ? request.body.current : '';
      await login.signIn.changePassword(account.subject, current, repeatedPassword(request.body));
      return sendPage(reply, passwordChosenPage());
    } catch (error) {
      const isTooMany = error instanceof TooManyTries;
      if (!isTooMany && !(error instanceof InvalidArgument) && !(error instanceof Forbidden)) throw error;
      if (isTooMany) reply.header('retry-after', error.retryAfterSeconds);
      request.outcome = error.code;
      const wrong = sentence(error.message);
      return sendPage(
        reply,
        choosePasswordPage(account.name, { wrong, status: isTooMany ? 429 : 400, current: session }),
      );
    }
  });
}

/** The outcome of a form that led to the start page. */
const DONE = new Map<unknown, string>([['ended', 'That login was ended. Its program must log in again.']]);

/** Who is signed in, unless the account may not be used any more. */
export async function signedInTo(
  request: FastifyRequest,
  reply: FastifyReply,
  { provider, findAccount }: LoginRooms,
): Promise<SignedIn | undefined> {
  const session = await provider().findSession(request.raw, reply.raw);
  const account = session && (await findAccount(session.subject));
  return account && { account, session };
}

/**
 * Who sent a form of a page that was theirs to send.
 *
 * @throws {Forbidden} when the form is not of a page of this browser's session
 */
async function sentBy(request: FastifyRequest, reply: FastifyReply, login: LoginRooms): Promise<SignedIn | undefined> {
  const signedIn = await signedInTo(request, reply, login);
  if (!signedIn) return undefined;
  const { form_token: token } = (request.body ?? {}) as Form;
  if (signedIn.session.isFormToken(token)) return signedIn;
  throw new Forbidden('this form is not of a page that you have open now: open the page again');
}
