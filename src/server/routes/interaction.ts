import { createHmac, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { INTERACTION_PATH } from '../../identity/provider/paths.ts';
import type { PendingInteraction } from '../../identity/provider/provider.ts';
import { consentPage } from '../../pages/consent.ts';
import { signInPage } from '../../pages/sign-in.ts';
import { InvalidArgument, NotFound, TooManyTries, Unauthenticated } from '../../protocol/errors.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { sendPage, sentence } from '../plugins/page-answers.ts';

interface Form {
  name?: unknown;
  password?: unknown;
  action?: unknown;
}

/** The pages on which somebody signs in or allows something. Only the browser that was sent to one is shown it. */
export function interactionRoutes(app: FastifyInstance, login: LoginRooms, logger: Logger): void {
  const logRefusal = refusalLog(logger, randomBytes(32));

  app.get(`${INTERACTION_PATH}/:uid`, async (request, reply) => {
    const interaction = await findInteraction(request, reply, login);
    if (interaction.prompt === 'login') return sendPage(reply, signInPage(addressed(interaction)));
    const account = interaction.subject && (await login.findAccount(interaction.subject));
    if (!account) throw ended();
    return sendPage(reply, consentPage({ ...addressed(interaction), account: account.displayName }));
  });

  app.post<{ Body: Form }>(`${INTERACTION_PATH}/:uid`, async (request, reply) => {
    const interaction = await findInteraction(request, reply, login);
    const { action } = request.body;
    if (action === 'cancel') return reply.redirect(await interaction.cancelled(), 303);
    if (interaction.prompt === 'login') return signIn(interaction, request.body, reply, login, logRefusal);
    if (action !== 'allow') throw new InvalidArgument('the form is not one of this page');
    return reply.redirect(await interaction.allowed(), 303);
  });
}

/**
 * One line for each sign-in that is refused, for an operator and for fail2ban (its rule is in `docs/operator.md`): the address, and the
 * name that was tried as a MAC, by which tries for one name are told from those for many. It may be a password in the wrong field, so
 * the key is of this process alone.
 */
function refusalLog(logger: Logger, key: Uint8Array) {
  return (code: string, from: string, name: string) => {
    const mark = createHmac('sha256', key).update(name.trim().toLowerCase()).digest('base64url').slice(0, 16);
    logger.warn({ part: 'sign-in', refused: code, from, name: mark });
  };
}

async function signIn(
  interaction: PendingInteraction,
  form: Form,
  reply: FastifyReply,
  login: LoginRooms,
  logRefusal: ReturnType<typeof refusalLog>,
) {
  const name = typeof form.name === 'string' ? form.name : '';
  const password = typeof form.password === 'string' ? form.password : '';
  try {
    const { subject } = await login.signIn.signIn(name, password);
    return reply.redirect(await interaction.signedIn(subject), 303);
  } catch (error) {
    if (error instanceof TooManyTries) reply.header('retry-after', error.retryAfterSeconds);
    else if (!(error instanceof Unauthenticated)) throw error;
    reply.request.outcome = error.code;
    logRefusal(error.code, reply.request.ip, name);
    const status = error instanceof TooManyTries ? 429 : 401;
    const wrong = sentence(error.message);
    return sendPage(reply, signInPage({ ...addressed(interaction), name: name.slice(0, 64), wrong, status }));
  }
}

async function findInteraction(
  request: FastifyRequest,
  reply: FastifyReply,
  { provider }: LoginRooms,
): Promise<PendingInteraction> {
  const { uid } = request.params as { uid: string };
  const interaction = await provider().findInteraction(request.raw, reply.raw);
  if (interaction?.uid !== uid) throw ended();
  return interaction;
}

function ended(): NotFound {
  return new NotFound('this page has ended, or belongs to another browser: start the login again');
}

/** An interaction, as a page is told of it. The answer to its form may lead to the program's own page, by way of the provider. */
function addressed({ client, scopes, redirectUri }: PendingInteraction) {
  return { client, scopes, formTargets: redirectUri === undefined ? [] : [new URL(redirectUri).origin] };
}
