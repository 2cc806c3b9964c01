import type { FastifyInstance } from 'fastify';
import { choosePasswordPage, passwordChosenPage } from '../../pages/password.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import type { LoginRooms } from '../login-rooms.ts';
import { sendPage, sentence } from '../plugins/page-answers.ts';

interface LinkParameters {
  Params: { token: string };
}

/** The page behind a one-time link, on which somebody chooses their password. Looking at it does not use the link up. */
export function passwordRoutes(app: FastifyInstance, { signIn }: LoginRooms): void {
  app.get<LinkParameters>('/password/:token', async (request, reply) =>
    sendPage(reply, choosePasswordPage(await signIn.accountOfPasswordLink(request.params.token))),
  );

  app.post<LinkParameters & { Body: { password?: unknown; again?: unknown } }>(
    '/password/:token',
    async (request, reply) => {
      const { token } = request.params;
      const account = await signIn.accountOfPasswordLink(token);
      try {
        await signIn.usePasswordLink(token, repeatedPassword(request.body));
        return sendPage(reply, passwordChosenPage());
      } catch (error) {
        if (!(error instanceof InvalidArgument)) throw error;
        request.outcome = error.code;
        const wrong = sentence(error.message);
        return sendPage(reply, choosePasswordPage(account, { wrong, status: 400 }));
      }
    },
  );
}

/** The password of a form in which it is typed twice. @throws {InvalidArgument} */
export function repeatedPassword({ password, again }: { password?: unknown; again?: unknown }): string {
  if (typeof password === 'string' && password === again) return password;
  throw new InvalidArgument('the two passwords differ: type the same twice');
}
