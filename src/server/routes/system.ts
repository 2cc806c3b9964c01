import type { FastifyInstance } from 'fastify';
import * as calls from '../../protocol/calls/system.ts';
import { succeeded } from '../../protocol/envelope.ts';
import type { OwnerId } from '../../protocol/ids.ts';
import { callerOf, ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** Answers while the server runs: for anyone, on any line. */
export function aliveRoute(app: FastifyInstance): void {
  route(app, calls.isAlive, async () => succeeded(null));
}

/** Tells a caller who it is for the server, for finding out why it is not who it thinks it is. */
export function systemRoutes(app: FastifyInstance): void {
  route(app, calls.getAttributes, async (args, request) => {
    const parameters = Object.fromEntries(Object.entries(args).map(([name, value]) => [name, String(value)]));
    const environment = {
      REQUEST_METHOD: request.method,
      REQUEST_SCHEME: request.protocol,
      REMOTE_ADDR: request.ip,
      HTTP_HOST: request.host,
      HTTP_USER_AGENT: request.headers['user-agent'] ?? '',
      HTTP_ORIGIN: request.headers.origin ?? '',
    };
    return succeeded({ parameters, environment }, asLines({ ...parameters, ...environment }));
  });

  route(app, calls.getUserAttributes, async (_args, request) => {
    const { kind, issuer, subject, displayName, nickname, groups, queues, expiresAt } = callerOf(request);
    const attributes = {
      user_dn_raw: subject,
      user_dn_clean: displayName,
      fqans: groups,
      is_production_user: kind === 'pilot',
      production_working_groups: [],
      primary_working_group: null,
      kind,
      issuer,
      subject,
      display_name: displayName,
      nickname: nickname ?? null,
      queues,
      token_expires_at: new Date(expiresAt).toISOString(),
    };
    return succeeded(attributes, asLines(attributes));
  });
}

/** @param quotasOf how much a user has of what is limited */
export function quotaRoute(app: FastifyInstance, quotasOf: (owner: OwnerId) => Promise<calls.ListedQuota[]>): void {
  route(app, calls.getQuotas, async (_args, request) => succeeded(await quotasOf(ownerOf(request))));
}

function asLines(values: Record<string, unknown>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} : ${value}`)
    .join('\n');
}
