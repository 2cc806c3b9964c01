import type { FastifyInstance } from 'fastify';
import { PATHS, SIGN_IN_PATH } from '../../identity/provider/paths.ts';
import { signInPage } from '../../pages/sign-in.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { sendPage } from '../plugins/page-answers.ts';
import type { CheckSignIn, SignInForm } from '../sign-in-form.ts';
import { signedInTo } from './account.ts';

interface SignIn {
  /** `device`: the code that somebody goes on to confirm, or nothing for the page that asks for one. */
  Querystring: { device?: unknown };
  Body: SignInForm;
}

/** Signing in to this server's own pages. */
export function signInRoutes(app: FastifyInstance, login: LoginRooms, checkSignIn: CheckSignIn): void {
  app.get<SignIn>(SIGN_IN_PATH, async (request, reply) => {
    if (await signedInTo(request, reply, login)) return reply.redirect(destination(request.query), 303);
    return sendPage(reply, signInPage(shown(request.query)));
  });

  app.post<SignIn>(SIGN_IN_PATH, async (request, reply) => {
    const checked = await checkSignIn(request.body, reply);
    if (typeof checked !== 'string') return sendPage(reply, signInPage({ ...shown(request.query), ...checked }));
    await login.provider().beginSession(request.raw, reply.raw, checked, request.ip);
    return reply.redirect(destination(request.query), 303);
  });
}

/** Where somebody goes on who has signed in: one of two pages of this server, and nowhere else. */
function destination({ device }: SignIn['Querystring']): string {
  if (typeof device !== 'string') return '/';
  return device === ''
    ? PATHS.code_verification
    : `${PATHS.code_verification}?${new URLSearchParams({ user_code: device })}`;
}

function shown({ device }: SignIn['Querystring']) {
  return { purpose: device === undefined ? 'to your account' : 'to connect a program to your account', cancel: '/' };
}
