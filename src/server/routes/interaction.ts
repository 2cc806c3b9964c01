import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { INTERACTION_PATH } from '../../identity/provider/paths.ts';
import type { PendingInteraction } from '../../identity/provider/provider.ts';
import { consentPage } from '../../pages/consent.ts';
import { signInPage } from '../../pages/sign-in.ts';
import { InvalidArgument, NotFound } from '../../protocol/errors.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { sendPage } from '../plugins/page-answers.ts';
import type { CheckSignIn, SignInForm } from '../sign-in-form.ts';

interface Form extends SignInForm {
  action?: unknown;
}

/** The pages to which a program sends somebody who signs in or allows something. Only the browser that was sent to one is shown it. */
export function interactionRoutes(app: FastifyInstance, login: LoginRooms, checkSignIn: CheckSignIn): void {
  app.get(`${INTERACTION_PATH}/:uid`, async (request, reply) => {
    const interaction = await findInteraction(request, reply, login);
    if (interaction.prompt === 'login') return sendPage(reply, signInPage(signInTo(interaction)));
    const account = interaction.subject && (await login.findAccount(interaction.subject));
    if (!account) throw ended();
    return sendPage(reply, consentPage({ ...addressed(interaction), account: account.displayName }));
  });

  app.post<{ Body: Form }>(`${INTERACTION_PATH}/:uid`, async (request, reply) => {
    const interaction = await findInteraction(request, reply, login);
    const { action } = request.body;
    if (action === 'cancel') return reply.redirect(await interaction.cancelled(), 303);
    if (interaction.prompt === 'login') {
      const checked = await checkSignIn(request.body, reply);
      if (typeof checked === 'string') return reply.redirect(await interaction.signedIn(checked), 303);
      return sendPage(reply, signInPage({ ...signInTo(interaction), ...checked }));
    }
    if (action !== 'allow') throw new InvalidArgument('the form is not one of this page');
    return reply.redirect(await interaction.allowed(), 303);
  });
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
  return new NotFound(
    'it was used already, or belongs to another browser: start the login again in your terminal or program',
  );
}

function signInTo(interaction: PendingInteraction) {
  const { client, formTargets } = addressed(interaction);
  return { purpose: `to continue to ${client}`, formTargets };
}

/** An interaction, as a page is told of it. The answer to its form may lead to the program's own page, by way of the provider. */
function addressed({ client, scopes, redirectUri }: PendingInteraction) {
  return { client, scopes, formTargets: redirectUri === undefined ? [] : [new URL(redirectUri).origin] };
}
