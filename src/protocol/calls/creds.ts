import { type TArray, type TNull, type TOptional, type TString, type TUnion, Type } from 'typebox';
import { MAX_JSON_BODY_BYTES } from '../limits.ts';
import { ATTRIBUTE_NAMES, ATTRIBUTES, type AttributeName } from '../secret-attributes.ts';
import { call, type Data, example, Id, orNull } from './call.ts';

const Key = example(
  Type.String({ description: 'wire name of the secret: its name, with `___file___:` in front for a file' }),
  'MY_SECRET',
);
const Time = example(Type.String({ description: 'ISO 8601, UTC' }), '2026-11-20T16:40:11.000Z');
const Version = example(Type.Integer({ ...Id, description: 'from 1; each set counts on' }), 2);
const Size = example(Type.Integer({ description: 'bytes of the value as it was sent' }), 13);

const KeptVersion = Type.Integer({
  ...Id,
  description: 'the kept version, as `get_secret_versions` tells it',
  examples: [1],
});

type AttributeSchema<A extends AttributeName> = (typeof ATTRIBUTES)[A]['list'] extends true ? TArray<TString> : TString;

/** The attributes of a secret, as arguments of a call. */
const AttributeArguments = Object.fromEntries(
  ATTRIBUTE_NAMES.map((name) => {
    const { list, about } = ATTRIBUTES[name];
    const description = `extension: ${about}`;
    const schema = list ? Type.Array(Type.String(), { maxItems: 100, description }) : Type.String({ description });
    return [name, Type.Optional(schema)];
  }),
) as { [A in AttributeName]: TOptional<AttributeSchema<A>> };

/** The same in an answer. */
const AttributeAnswers = Object.fromEntries(
  ATTRIBUTE_NAMES.map((name) => {
    const schema = ATTRIBUTES[name].list ? Type.Array(Type.String()) : Type.String();
    return [name, orNull(schema, { description: 'as set_user_secrets takes it; null for a secret without' })];
  }),
) as { [A in AttributeName]: TUnion<[AttributeSchema<A>, TNull]> };

export const setUserSecrets = call({
  path: 'creds/set_user_secrets',
  http: 'POST',
  maxBodyBytes: MAX_JSON_BODY_BYTES,
  panda: true,
  summary: 'Sets a secret, whatever its name was before. A null value deletes it, a null key all of them.',
  parameters: Type.Object({
    key: orNull(Key, {
      description: 'wire name of the secret, with `___file___:` in front for a file; null for all of them',
    }),
    value: orNull(example(Type.String(), 'random_string'), {
      description: 'the value, of a file in base64; null to delete the secret',
    }),
    ...AttributeArguments,
  }),
  // PanDA answers null, and what deletes nothing is a success there as well.
  answer: orNull(Type.Object({ found: Type.Boolean({ description: 'false' }) }), {
    description: 'null, but `{"found": false}` where a secret was to be deleted that is not there (extension)',
    examples: [null],
  }),
});

export const getUserSecrets = call({
  path: 'creds/get_user_secrets',
  http: 'GET',
  panda: true,
  summary:
    'The secrets of the caller, or those that `keys` names. Without `keys`, damaged ones are left out and the message tells of them.',
  parameters: Type.Object({
    keys: Type.Optional(Type.Array(Key, { description: 'wire names of the secrets that are wanted; all without it' })),
  }),
  answer: example(
    Type.String({ description: 'the JSON text of an object: wire name -> value' }),
    '{"MY_SECRET": "random_string"}',
  ),
});

export const deleteSecret = call({
  path: 'creds/delete_secret',
  http: 'POST',
  panda: false,
  summary: 'Deletes a secret by its id, with all its versions: also one that is damaged, whose name may be unknown.',
  parameters: Type.Object({
    id: example(
      Type.String({ description: 'as `list_user_secrets` tells it, or the message about a damaged secret' }),
      '3d1c8f0a-5b7e-4f0e-9a51-0c8d8a1f6e2b',
    ),
  }),
  answer: Type.Null(),
});

/** One secret, without its value. */
export type ListedSecret = Data<typeof ListedSecret>;
const ListedSecret = Type.Object({
  id: example(Type.String({ description: 'as `delete_secret` takes it' }), '3d1c8f0a-5b7e-4f0e-9a51-0c8d8a1f6e2b'),
  name: example(Type.String({ description: 'without the mark of a file' }), 'MY_SECRET'),
  kind: Type.Enum(['string', 'file']),
  version: Version,
  size: Size,
  sealed: Type.Boolean({
    description: 'extension: true when its owner sealed the value, which this system cannot open',
  }),
  ...AttributeAnswers,
  created_at: Time,
  updated_at: Time,
  expired: Type.Boolean({ description: 'extension: true when its end has come, and no job gets it' }),
  last_used_at: orNull(Time, {
    description: 'extension: when a job last got it, to the hour; null when none did',
  }),
});

export const listUserSecrets = call({
  path: 'creds/list_user_secrets',
  http: 'GET',
  panda: false,
  summary:
    'Names, kinds, sizes, attributes and dates of the secrets, without values. The message tells of those whose names do not open.',
  parameters: Type.Object({}),
  answer: Type.Array(ListedSecret),
});

/** One kept version of a secret, without its value. */
export type ListedVersion = Data<typeof ListedVersion>;
const ListedVersion = Type.Object({
  version: Version,
  size: Size,
  created_at: Time,
  current: Type.Boolean({ description: 'the one that jobs get' }),
});

export const getSecretVersions = call({
  path: 'creds/get_secret_versions',
  http: 'GET',
  panda: false,
  summary: 'The versions of a secret that are still kept, without values, newest first.',
  parameters: Type.Object({ key: Key }),
  answer: Type.Array(ListedVersion),
});

export const getSecretVersion = call({
  path: 'creds/get_secret_version',
  http: 'GET',
  panda: false,
  summary: 'The value of a kept version of a secret: a client seals a sealed one anew to restore it.',
  parameters: Type.Object({ key: Key, version: KeptVersion }),
  answer: Type.Object({ key: Key, value: Type.String({ description: 'as it was sent', examples: ['random_string'] }) }),
});

export const restoreSecret = call({
  path: 'creds/restore_secret',
  http: 'POST',
  panda: false,
  summary: 'Makes a kept version of a secret the current one again, as a new version.',
  parameters: Type.Object({
    key: Key,
    version: KeptVersion,
  }),
  answer: Type.Object({ version: Type.Integer({ ...Id, description: 'the new one' }) }),
});

/** One time that a job was given secrets. */
export type ListedDelivery = Data<typeof ListedDelivery>;
const ListedDelivery = Type.Object({
  at: Time,
  task_id: Type.Integer({ ...Id, description: 'the task, `jediTaskID`' }),
  job_id: Type.Integer({ ...Id, description: 'its job, `PandaID`' }),
  attempt: Type.Integer({ ...Id, description: 'the attempt of the job, from 1', examples: [1] }),
  pilot: Type.String({ description: 'as the server knows it' }),
  queue: Type.String({ description: 'the queue that the pilot serves', examples: ['SITE_A'] }),
  node: Type.String({ description: "the name of the pilot's machine, as it said" }),
  sealed_with: Type.String({ description: 'the KEM that it was sealed with, or tls' }),
  secrets: Type.Array(
    Type.Object({
      name: orNull(Type.String(), { description: 'wire name; null for a secret that was deleted since' }),
      version: Version,
    }),
  ),
});

export const getSecretDeliveries = call({
  path: 'creds/get_secret_deliveries',
  http: 'GET',
  panda: false,
  summary: 'Lists the jobs and nodes that were given a secret (all secrets without `key`), newest first.',
  parameters: Type.Object({
    key: Type.Optional(Key),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'how many at most; 100 without it', examples: [20] }),
    ),
  }),
  answer: Type.Array(ListedDelivery),
});

/** Queues that are weaker than others, for an owner whose secrets may go there. */
export type ListedQueueNotices = Data<typeof ListedQueueNotices>;
const ListedQueueNotices = Type.Object({
  tls_queues: Type.Array(
    Type.Object({
      queue: Type.String(),
      since: orNull(Time, { description: 'null when it did from the start' }),
    }),
    { description: 'those that give secrets over TLS alone now' },
  ),
  changes: Type.Array(
    Type.Object({
      at: Time,
      queue: Type.String(),
      allow_tls_secrets: Type.Boolean({ description: 'from then on' }),
      secrets: Type.Array(
        orNull(Type.String(), { description: 'wire name; null for a secret that was deleted since' }),
      ),
    }),
    { description: "when that changed for a queue that some of the caller's secrets named then, newest first" },
  ),
});

export const getQueueNotices = call({
  path: 'creds/get_queue_notices',
  http: 'GET',
  panda: false,
  summary:
    "Tells which queues give secrets over TLS alone, and when that changed for queues that the caller's secrets name.",
  parameters: Type.Object({}),
  answer: ListedQueueNotices,
});

export const getSiteRecord = call({
  path: 'creds/get_site_record',
  http: 'GET',
  panda: false,
  summary:
    "What the site of a queue says of its nodes' keys, which it signed. A program that seals to them checks it first.",
  parameters: Type.Object({ queue: Type.String({ description: 'the queue', examples: ['SITE_A'] }) }),
  answer: orNull(Type.String(), { description: 'null for a queue that has none, or is not there' }),
});
