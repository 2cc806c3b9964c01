import { createHmac, randomBytes } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { TooManyTries, Unauthenticated } from '../protocol/errors.ts';
import type { LoginRooms } from './login-rooms.ts';
import { sentence } from './plugins/page-answers.ts';

/** The form of a page on which somebody signs in. */
export interface SignInForm {
  name?: unknown;
  password?: unknown;
}

/** The page's words about a sign-in that was refused. */
export interface RefusedSignIn {
  name: string;
  wrong: string;
  status: number;
}

/** Checks what a sign-in page's form brought: the `sub` of the account, or what the page shows again. */
export type CheckSignIn = (form: SignInForm, reply: FastifyReply) => Promise<string | RefusedSignIn>;

const MAX_SHOWN_NAME = 64;

export function createSignInCheck({ signIn }: Pick<LoginRooms, 'signIn'>, logger: Logger): CheckSignIn {
  const logRefusal = refusalLog(logger, randomBytes(32));
  return async (form, reply) => {
    const name = typeof form.name === 'string' ? form.name : '';
    const password = typeof form.password === 'string' ? form.password : '';
    try {
      return (await signIn.signIn(name, password)).subject;
    } catch (error) {
      if (error instanceof TooManyTries) reply.header('retry-after', error.retryAfterSeconds);
      else if (!(error instanceof Unauthenticated)) throw error;
      reply.request.outcome = error.code;
      logRefusal(error.code, reply.request.ip, name);
      const status = error instanceof TooManyTries ? 429 : 401;
      return { name: name.slice(0, MAX_SHOWN_NAME), wrong: sentence(error.message), status };
    }
  };
}

/**
 * One line for each sign-in that is refused, for an operator and for fail2ban (its rule is in `docs/operator-reference.md`): the address, and the
 * name that was tried as a MAC, by which tries for one name are told from those for many. It may be a password in the wrong field, so
 * the key is of this process alone.
 */
function refusalLog(logger: Logger, key: Uint8Array) {
  return (code: string, from: string, name: string) => {
    const mark = createHmac('sha256', key).update(name.trim().toLowerCase()).digest('base64url').slice(0, 16);
    logger.warn({ part: 'sign-in', refused: code, from, name: mark });
  };
}
