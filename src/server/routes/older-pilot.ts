import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { callerId } from '../../identity/caller.ts';
import {
  type OlderArguments,
  readJobIds,
  readJobReport,
  readJobRequest,
  STATUS,
} from '../../panda/older-pilot-calls.ts';
import { toPilotJob } from '../../panda/pilot-job.ts';
import { RESOURCE_TYPES } from '../../panda/resource-types.ts';
import { PandaError } from '../../protocol/errors.ts';
import { callerOf } from '../plugins/authentication.ts';
import { dropBody, readOlderBodies } from '../plugins/body.ts';
import { withoutMessage } from '../plugins/request-log.ts';
import { takeReport } from '../take-report.ts';
import type { PilotRooms } from './pilot.ts';

/** Where PanDA's calls were before its v1 API. */
const OLDER_API = '/server/panda';

/** The calls that PanDA's Python pilot makes, in the form that it knows. What they do is done as for any other pilot. */
export function olderPilotRoutes(app: FastifyInstance, { jobs, delivery }: PilotRooms, logger: Logger): void {
  readOlderBodies(app);
  answerInOlderForm(app, logger);

  const call = (name: string, answer: (args: OlderArguments, request: FastifyRequest) => unknown) =>
    app.route({
      method: ['POST', 'GET'],
      url: `${OLDER_API}/${name}`,
      config: { olderCall: `panda/${name}` },
      handler: async (request, reply) => {
        const args = { ...(request.query as object), ...(request.body as object | undefined) };
        return send(reply, await answer(args, request));
      },
    });

  call('getJob', async (args, request) => {
    const { queue, node, taskId } = readJobRequest(args);
    const caller = callerOf(request);
    const pilot = { pilotId: callerId(caller), queues: caller.queues, tokenMadeAt: caller.issuedAt };
    const answer = await delivery.giveJobs(pilot, { queue, node, taskId, count: 1, offer: undefined });
    if ('none' in answer) return { StatusCode: STATUS.noJobs, errorDialog: answer.none };
    const [given] = answer.jobs;
    return { StatusCode: STATUS.succeeded, ...(given && toPilotJob(given.job, given.secrets)) };
  });

  call('updateJob', async (args, request) => {
    const { files, ...report } = readJobReport(args);
    const caller = callerOf(request);
    for (const file of files) {
      try {
        await jobs.addFile(callerId(caller), { ...report, ...file });
      } catch (error) {
        // A repeated report, or a name that is none: the report itself says whether it counts.
        if (!(error instanceof PandaError) || REFUSALS[error.code] === undefined) throw error;
      }
    }
    const { command } = await takeReport(jobs, caller, report);
    return { StatusCode: STATUS.succeeded, command };
  });

  call('getStatus', async (args, request) => {
    const ids = readJobIds(args, 'ids');
    const known = await jobs.getJobsOfPilot(callerId(callerOf(request)), ids);
    const found = ids.map((id) => known.find(({ jobId }) => jobId === id));
    return {
      StatusCode: STATUS.succeeded,
      status: found.map((job) => job?.state ?? 'notfound').join(','),
      attemptNr: found.map((job) => job?.attempt ?? 0).join(','),
    };
  });

  // The pilot reads the list out of a text.
  call('getResourceTypes', () => ({
    StatusCode: STATUS.succeeded,
    ResourceTypes: JSON.stringify(RESOURCE_TYPES),
  }));

  // Without effect: the owner always sees what a job of this system's own pilot prints.
  call('setDebugMode', () => 'Succeeded');
  // Not kept; a pilot must not fail on saying it.
  call('updateWorkerPilotStatus', () => ({ StatusCode: STATUS.succeeded }));

  // A pilot of PanDA's may ask for these, and this system does not have them. It goes on without.
  const notOffered = (errorDialog: string) => () => ({ StatusCode: STATUS.failed, errorDialog });
  call('get_access_token', notOffered('no tokens are renewed here: start the pilot with one that outlives it'));
  call('getProxy', notOffered('there are no X.509 proxies here'));
  call('get_user_secrets', () => [false, 'a pilot has no secrets of its own here']);
}

function send(reply: FastifyReply, answer: unknown): FastifyReply {
  if (typeof answer === 'string') return reply.type('text/plain').send(answer);
  return reply.type('application/json').send(JSON.stringify(answer));
}

/**
 * A refusal is an answer with its reason, which the pilot writes into its log. Where it should try again, the answer is none that
 * it could take for one: it takes every object for success.
 */
function answerInOlderForm(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    dropBody(request, reply);
    const { code } = error;
    request.outcome = error instanceof PandaError ? code : 'ERR_INTERNAL';
    if (code === 'ERR_UNAUTHENTICATED') {
      request.countFailure();
      return reply.code(401).type('text/plain').send(error.message);
    }
    if (code === 'ERR_TOO_MANY_TRIES') return reply.code(503).type('text/plain').send(error.message);
    const status = error instanceof PandaError ? REFUSALS[code] : undefined;
    if (status !== undefined) return send(reply, { StatusCode: status, errorDialog: error.message });
    if (request.raw.destroyed && !request.raw.complete) {
      request.outcome = 'ERR_CLIENT_GONE';
      return reply.send();
    }
    logger.error({ path: request.routeOptions.url, ...withoutMessage(error) });
    return reply.code(503).type('text/plain').send('the server has a problem: try again');
  });
}

const REFUSALS: Record<string, number> = {
  ERR_INSECURE_TRANSPORT: STATUS.insecure,
  ERR_INVALID_ARGUMENT: STATUS.invalid,
  ERR_FORBIDDEN: STATUS.role,
  ERR_NOT_FOUND: STATUS.failed,
  ERR_CONFLICT: STATUS.failed,
  ERR_QUOTA_EXCEEDED: STATUS.failed,
};
