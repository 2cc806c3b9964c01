import { Type } from 'typebox';
import {
  LAUNCHER_TOKEN_SECONDS,
  MAX_COUNTED_JOBS,
  MAX_LAUNCHER_QUEUES,
  MAX_PILOT_TOKEN_SECONDS,
  MAX_SIGNED_CHARS,
} from '../limits.ts';
import { QUEUE_STATES } from '../states.ts';
import { call, type Data, Nothing, orNull } from './call.ts';

/** The calls of an operator: for the command line, a console, and a launcher of pilots on another machine. */

const Time = Type.String({ description: 'ISO 8601, UTC', examples: ['2026-11-20T16:40:11.000Z'] });
const AccountName = Type.String({ description: 'the login name of an account of this server', examples: ['alice'] });
const UserName = Type.String({
  description: 'the login name of an account of this server, or `ISSUER#SUBJECT` of a user of another issuer',
  examples: ['alice'],
});
const QueueName = Type.String({ description: 'the name of a queue', examples: ['SITE_A'] });
const TlsSecrets = Type.Boolean({ description: 'pilots that offer no key get secrets too, over TLS alone' });

/** An account of the embedded issuer, or a user of another one, whose role its tokens tell. */
export type ListedUser = Data<typeof ListedUser>;
const ListedUser = Type.Object({
  name: UserName,
  issuer: Type.Optional(Type.String({ description: 'who makes the tokens of a user without an account here' })),
  display_name: Type.String({ description: 'for show' }),
  role: Type.Enum(['user', 'operator']),
  disabled: Type.Boolean({ description: 'its tokens are refused' }),
  created_at: Time,
});

export const listUsers = call({
  path: 'admin/list_users',
  http: 'GET',
  panda: false,
  summary: 'The accounts of this server, and with `all` the users of other issuers who called here.',
  parameters: Type.Object({
    all: Type.Optional(Type.Boolean({ description: 'with the users of other issuers who called here' })),
  }),
  answer: Type.Array(ListedUser),
});

export const addUser = call({
  path: 'admin/add_user',
  http: 'POST',
  panda: false,
  summary: "Adds an account of a user. Operators are added at the server's machine.",
  parameters: Type.Object({
    name: AccountName,
    display_name: Type.Optional(Type.String({ description: 'the name that is shown; the login name without it' })),
  }),
  answer: ListedUser,
});

export const disableUser = call({
  path: 'admin/disable_user',
  http: 'POST',
  panda: false,
  summary: 'Refuses the tokens of a user, within half a minute, and ends the logins of an account.',
  parameters: Type.Object({ name: UserName }),
  answer: Nothing,
});

export const enableUser = call({
  path: 'admin/enable_user',
  http: 'POST',
  panda: false,
  summary: 'Lets a disabled user in again, with new tokens.',
  parameters: Type.Object({ name: UserName }),
  answer: Nothing,
});

export const logOutUser = call({
  path: 'admin/log_out_user',
  http: 'POST',
  panda: false,
  summary: 'Makes void the tokens that a user has, within half a minute, and ends the logins of an account.',
  parameters: Type.Object({ name: UserName }),
  answer: Nothing,
});

export const createPasswordLink = call({
  path: 'admin/create_password_link',
  http: 'POST',
  panda: false,
  summary:
    'A link at which the password of an account that was never used is chosen, once. For one that was used, the link would give ' +
    "away what its owner keeps: it is made at the server's machine.",
  parameters: Type.Object({ name: AccountName }),
  answer: Type.Object({ url: Type.String({ description: 'the link' }), expires_at: Time }),
});

const State = Type.Enum([...QUEUE_STATES], {
  description: 'paused: gives out no job, tasks wait; draining: takes no new task, jobs of those that name it run',
});

/** A queue and what its pilots may have. */
export type ListedQueue = Data<typeof ListedQueue>;
const ListedQueue = Type.Object({
  name: QueueName,
  allow_tls_secrets: TlsSecrets,
  state: State,
});

const Told = Type.Integer({ description: 'owners whose secrets name the queue, and who were told of the change' });

export const listQueues = call({
  path: 'admin/list_queues',
  http: 'GET',
  panda: false,
  summary: 'The queues.',
  parameters: Type.Object({}),
  answer: Type.Array(ListedQueue),
});

export const addQueue = call({
  path: 'admin/add_queue',
  http: 'POST',
  panda: false,
  summary: 'Adds a queue. One that is there stays as it is; asked for with other settings, it is refused.',
  parameters: Type.Object({ name: QueueName, allow_tls_secrets: Type.Optional(TlsSecrets) }),
  answer: Type.Object({
    queue: ListedQueue,
    is_new: Type.Boolean({ description: 'false when it was there' }),
    told: Told,
  }),
});

export const setQueue = call({
  path: 'admin/set_queue',
  http: 'POST',
  panda: false,
  summary: 'Changes a queue. Owners whose secrets name it are told when it gives secrets over TLS alone from now on.',
  parameters: Type.Object({
    name: QueueName,
    allow_tls_secrets: Type.Optional(TlsSecrets),
    state: Type.Optional(State),
  }),
  answer: Type.Object({ queue: ListedQueue, was: ListedQueue, told: Told }),
});

export const removeQueue = call({
  path: 'admin/remove_queue',
  http: 'POST',
  panda: false,
  summary: 'Removes a queue for which no task waits and where nothing runs.',
  parameters: Type.Object({ name: QueueName }),
  answer: Nothing,
});

export const getQueueLoad = call({
  path: 'admin/get_queue_load',
  http: 'GET',
  panda: false,
  summary: 'Counts the jobs that wait for pilots of a queue, and those that run there: a launcher decides by it.',
  parameters: Type.Object({ queue: QueueName }),
  answer: Type.Object({
    waiting: Type.Integer({
      description: `jobs that a pilot of the queue would be given, counted up to ${MAX_COUNTED_JOBS}`,
    }),
    running: Type.Integer({ description: 'attempts that pilots of the queue have now' }),
    pilots: Type.Integer({ description: 'pilots that joined the queue and are active' }),
  }),
});

export const createPilotToken = call({
  path: 'admin/create_pilot_token',
  http: 'POST',
  panda: false,
  summary: 'A token with which one pilot joins a queue, once.',
  parameters: Type.Object({
    queue: QueueName,
    ttl_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_PILOT_TOKEN_SECONDS,
        description: 'how long it is good; an hour without it, a bearer token 7 days',
      }),
    ),
    bearer: Type.Optional(
      Type.Boolean({ description: "a token that is sent with each request instead, as PanDA's own pilots need it" }),
    ),
    vo: Type.Optional(Type.String({ description: 'the VO that a bearer token is for' })),
  }),
  answer: Type.Object({ token: Type.String({ description: 'for `panda-pilot --token-file`' }), expires_at: Time }),
});

/** A pilot that joined. */
export type ListedPilot = Data<typeof ListedPilot>;
const ListedPilot = Type.Object({
  id: Type.String(),
  queue: QueueName,
  node: Type.String({ description: 'the name of its machine, as it said' }),
  joined_at: Time,
  seen_at: Time,
  expires_at: Time,
  state: Type.Enum(['active', 'silent', 'expired', 'ended by operator', 'ended by launcher', 'ended by pilot']),
});

/** A join token that somebody tried to use after a pilot had joined with it. */
export type RefusedToken = Data<typeof RefusedToken>;
const RefusedToken = Type.Object({
  token_id: Type.String(),
  queue: QueueName,
  pilot_id: orNull(Type.String(), { description: 'the pilot that joined with it' }),
  times: Type.Integer(),
  at: Type.String({ description: 'the last time: ISO 8601, UTC' }),
  node: Type.String({ description: 'the name of the machine, as the refused one said' }),
  same_key: Type.Boolean({
    description: 'the same request again, repeated by the pilot or replayed; false: the token was copied',
  }),
});

export const listPilots = call({
  path: 'admin/list_pilots',
  http: 'GET',
  panda: false,
  summary: 'The pilots that joined last, and the join tokens that somebody tried to use a second time.',
  parameters: Type.Object({}),
  answer: Type.Object({ pilots: Type.Array(ListedPilot), refused: Type.Array(RefusedToken) }),
});

export const endPilot = call({
  path: 'admin/end_pilot',
  http: 'POST',
  panda: false,
  summary: "Ends a pilot's session at once. What it runs is run again elsewhere.",
  parameters: Type.Object({ pilot: Type.String({ description: 'its id' }) }),
  answer: Nothing,
});

export const setSiteRecord = call({
  path: 'admin/set_site_record',
  http: 'POST',
  panda: false,
  summary: "Publishes what the site of a queue says of its nodes' keys, which it signed: users seal secrets to them.",
  parameters: Type.Object({
    name: QueueName,
    record: Type.String({
      maxLength: MAX_SIGNED_CHARS,
      pattern: '^[\\w-]+\\.[\\w-]+$',
      description: 'the signed record: two parts in base64url with a dot between them',
      examples: ['eyJ2IjoxfQ.AAAA'],
    }),
  }),
  answer: Nothing,
});

const LauncherName = Type.String({
  description: 'the name of a launcher: letters, digits, `.`, `_` and `-`',
  examples: ['slurm'],
});
const LauncherToken = Type.Object({
  name: LauncherName,
  queues: Type.Array(QueueName),
  token: Type.String({ description: 'for a file that its user alone can read; it is told once' }),
  expires_at: Time,
});
const LauncherSeconds = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: LAUNCHER_TOKEN_SECONDS,
    description: 'how long its token is good; a year without it',
  }),
);

export const addLauncher = call({
  path: 'admin/add_launcher',
  http: 'POST',
  panda: false,
  summary:
    'Adds a launcher: a program that starts pilots of some queues, and makes tokens for these. It can do nothing else.',
  parameters: Type.Object({
    name: LauncherName,
    queues: Type.Array(QueueName, {
      minItems: 1,
      maxItems: MAX_LAUNCHER_QUEUES,
      description: 'the queues that it starts pilots for',
    }),
    ttl_seconds: LauncherSeconds,
  }),
  answer: LauncherToken,
});

export const renewLauncher = call({
  path: 'admin/renew_launcher',
  http: 'POST',
  panda: false,
  summary: 'Makes another token for a launcher. Those that it had are refused within half a minute.',
  parameters: Type.Object({ name: LauncherName, ttl_seconds: LauncherSeconds }),
  answer: LauncherToken,
});

export const removeLauncher = call({
  path: 'admin/remove_launcher',
  http: 'POST',
  panda: false,
  summary:
    'Removes a launcher, and the join tokens that it made and no pilot has used. The pilots that it started go on.',
  parameters: Type.Object({ name: LauncherName }),
  answer: Nothing,
});

/** A program that starts pilots of some queues. */
export type ListedLauncher = Data<typeof ListedLauncher>;
const ListedLauncher = Type.Object({
  name: LauncherName,
  queues: Type.Array(QueueName),
  created_at: Time,
  expires_at: Type.String({ description: 'when its token ends: ISO 8601, UTC' }),
});

export const listLaunchers = call({
  path: 'admin/list_launchers',
  http: 'GET',
  panda: false,
  summary: 'The launchers.',
  parameters: Type.Object({}),
  answer: Type.Array(ListedLauncher),
});

/** The calls by the names of the functions that do what they say, at the server and in a client. */
export const ADMIN_CALLS = {
  listUsers,
  addUser,
  disableUser,
  enableUser,
  logOutUser,
  createPasswordLink,
  listQueues,
  addQueue,
  setQueue,
  removeQueue,
  setSiteRecord,
  getQueueLoad,
  createPilotToken,
  listPilots,
  endPilot,
  addLauncher,
  renewLauncher,
  removeLauncher,
  listLaunchers,
} as const;
