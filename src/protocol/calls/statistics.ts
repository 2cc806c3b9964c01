import { Type } from 'typebox';
import { MAX_COUNTED_JOBS, MAX_KINDS_SHOWN } from '../limits.ts';
import { call } from './call.ts';

const LIMITS =
  `\`activated\` are those that a pilot of the queue would be given, also those for any queue, counted up to ${MAX_COUNTED_JOBS} of ` +
  `${MAX_KINDS_SHOWN} kinds`;

export const activeJobStatsBySite = call({
  path: 'statistics/active_job_stats_by_site',
  http: 'GET',
  panda: true,
  summary: "The jobs of a launcher's queues that have not ended, by their state.",
  parameters: Type.Object({}),
  answer: Type.Object(
    {},
    {
      additionalProperties: true,
      description: `\`{queue: {state: jobs}}\`; ${LIMITS}`,
      examples: [{ SITE_A: { assigned: 0, activated: 3, running: 1 } }],
    },
  ),
});

export const activeJobDetailedStatsBySite = call({
  path: 'statistics/active_job_detailed_stats_by_site',
  http: 'GET',
  panda: true,
  summary: 'The same, by kind of resource and `prodSourceLabel` as well.',
  parameters: Type.Object({}),
  answer: Type.Object(
    {},
    {
      additionalProperties: true,
      description: `\`{queue: {kind of resource: {prodSourceLabel: {state: jobs}}}}\`; ${LIMITS}`,
      examples: [{ SITE_A: { SCORE: { user: { assigned: 0, activated: 3, running: 1 } } } }],
    },
  ),
});
