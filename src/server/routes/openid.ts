import formBody from '@fastify/formbody';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { PATHS } from '../../identity/provider/paths.ts';
import { refused } from '../../protocol/envelope.ts';
import { TooManyTries } from '../../protocol/errors.ts';
import {
  MAX_FORM_BYTES,
  MAX_FORMS_PER_MINUTE,
  MAX_LOGINS_PER_MINUTE,
  MAX_TOKEN_REQUESTS_PER_MINUTE,
} from '../../protocol/limits.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { answerWithPages } from '../plugins/page-answers.ts';
import { requireSameOrigin } from '../plugins/same-origin.ts';
import { requireSecureTransport } from '../plugins/transport.ts';
import { createSignInCheck } from '../sign-in-form.ts';
import { accountRoutes } from './account.ts';
import { interactionRoutes } from './interaction.ts';
import { passwordRoutes } from './password.ts';
import { signInRoutes } from './sign-in.ts';

const MINUTE = 60_000;

/** Logging in: the OpenID provider's endpoints, its pages, and what tells clients where to log in. */
export async function loginRoutes(app: FastifyInstance, login: LoginRooms, logger: Logger): Promise<void> {
  authConfigRoute(app, login);
  await app.register(async (endpoints) => providerRoutes(endpoints, login, logger));
  await app.register(async (pages) => {
    await pages.register(formBody, { bodyLimit: MAX_FORM_BYTES });
    await limitForms(pages, login);
    answerWithPages(pages, logger);
    const checkSignIn = createSignInCheck(login, logger);
    accountRoutes(pages, login);
    signInRoutes(pages, login, checkSignIn);
    interactionRoutes(pages, login, checkSignIn);
    passwordRoutes(pages, login);
  });
}

function authConfigRoute(app: FastifyInstance, { authConfig }: LoginRooms): void {
  app.get<{ Params: { file: string } }>('/auth/:file', async (request, reply) => {
    const vo = /^(.+)_auth_config\.json$/.exec(request.params.file)?.[1];
    const config = vo === undefined ? undefined : authConfig(vo);
    if (config) return reply.type('application/json').send(JSON.stringify(config));
    request.outcome = 'ERR_NOT_FOUND';
    return reply
      .code(404)
      .type('application/json')
      .send(JSON.stringify(refused('this server has no login for this VO: check PANDA_AUTH_VO')));
  });
}

/** The provider reads its requests and writes its answers by itself. */
async function providerRoutes(app: FastifyInstance, { provider, countTry }: LoginRooms, logger: Logger): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (request) => requireSecureTransport(request));
  answerWithPages(app, logger);
  await app.register(rateLimit, { global: false });

  async function handler(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.hijack();
    await provider().handle(request.raw, reply.raw, request.ip);
  }
  /** The address that goes on with a login is the provider's own, without a query: the provider does not expect one. */
  async function resume(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    request.raw.url = request.url.replace(/\?.*/s, '');
    return handler(request, reply);
  }
  const limited = (max: number) => ({
    config: { rateLimit: { max, timeWindow: MINUTE, errorResponseBuilder: tooMany } },
  });

  const { authorization, code_verification, end_session } = PATHS;
  app.get('/.well-known/openid-configuration', handler);
  app.get('/.well-known/oauth-authorization-server', handler);
  app.get(PATHS.jwks, handler);
  app.all(authorization, limited(MAX_LOGINS_PER_MINUTE), handler);
  app.get(`${authorization}/:uid`, resume);
  app.post(PATHS.device_authorization, limited(MAX_LOGINS_PER_MINUTE), handler);
  app.post(PATHS.token, limited(MAX_TOKEN_REQUESTS_PER_MINUTE), handler);
  app.post(PATHS.revocation, limited(MAX_TOKEN_REQUESTS_PER_MINUTE), handler);
  app.all(PATHS.userinfo, limited(MAX_TOKEN_REQUESTS_PER_MINUTE), handler);
  // Each visitor without a session is given one, which is kept.
  app.all(end_session, limited(MAX_FORMS_PER_MINUTE), handler);
  app.all(`${end_session}/*`, limited(MAX_FORMS_PER_MINUTE), handler);
  // Codes are short: nobody may try many.
  await app.register(async (codes) => {
    await codes.register(rateLimit, { ...countedTogether(countTry, 'code'), max: MAX_FORMS_PER_MINUTE });
    codes.all(code_verification, handler);
  });
  app.get(`${code_verification}/:uid`, resume);
}

/** Every form of a page: from this site alone, and not many from one address. */
async function limitForms(app: FastifyInstance, { provider, countTry }: LoginRooms): Promise<void> {
  app.addHook('onRequest', async (request) => {
    requireSecureTransport(request);
    if (request.method === 'POST') requireSameOrigin(request, new URL(provider().url).origin);
  });
  await app.register(rateLimit, {
    ...countedTogether(countTry, 'form'),
    max: MAX_FORMS_PER_MINUTE,
    allowList: (request) => request.method !== 'POST',
  });
}

function tooMany(_request: FastifyRequest, { ttl }: { ttl: number }): TooManyTries {
  const seconds = Math.ceil(ttl / 1000);
  return new TooManyTries(`too many requests from your address: try again in ${seconds} seconds`, seconds);
}

/** A limit that guards a login is counted in the database: each of several servers would allow the whole of it otherwise. */
function countedTogether(countTry: LoginRooms['countTry'], what: string) {
  class Counts {
    incr(key: string, done: (error: Error | null, counts?: { current: number; ttl: number }) => void): void {
      countTry(`${what} ${key}`, MINUTE).then((counts) => done(null, counts), done);
    }

    child(): Counts {
      return this;
    }
  }
  return { store: Counts, timeWindow: MINUTE, errorResponseBuilder: tooMany };
}
