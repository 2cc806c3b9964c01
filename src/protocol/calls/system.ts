import { Type } from 'typebox';
import { call, type Data, Nothing, orNull } from './call.ts';

export const isAlive = call({
  path: 'system/is_alive',
  http: 'GET',
  panda: true,
  summary: 'Succeeds while the server is up; needs no token.',
  parameters: Type.Object({}),
  answer: Nothing,
});

export const getAttributes = call({
  path: 'system/get_attributes',
  http: 'GET',
  panda: true,
  summary: 'Answers this request as the server sees it, without anything that proves who calls; arguments are echoed.',
  parameters: Type.Object({}, { additionalProperties: true }),
  answer: Type.Object({
    parameters: Type.Record(Type.String(), Type.String()),
    environment: Type.Record(Type.String(), Type.String(), { description: 'method, address and some headers' }),
  }),
});

/** A caller. */
export type UserAttributes = Data<typeof UserAttributes>;
const UserAttributes = Type.Object({
  user_dn_raw: Type.String({ description: "the token's subject" }),
  user_dn_clean: Type.String({ description: 'the name that is shown' }),
  fqans: Type.Array(Type.String(), { description: 'groups' }),
  is_production_user: Type.Boolean({ description: 'a pilot' }),
  production_working_groups: Type.Array(Type.String()),
  primary_working_group: Type.Null(),
  kind: Type.String({ description: 'user, operator or pilot' }),
  issuer: Type.String(),
  subject: Type.String(),
  display_name: Type.String(),
  nickname: orNull(Type.String(), { description: 'preferred_username of the token' }),
  queues: Type.Array(Type.String(), { description: 'those that a pilot serves' }),
  token_expires_at: Type.String({ description: 'ISO 8601, UTC' }),
});

export const getUserAttributes = call({
  path: 'system/get_user_attributes',
  http: 'GET',
  panda: true,
  summary: 'Answers the caller as the server sees it.',
  parameters: Type.Object({}),
  answer: UserAttributes,
});

/** How much of something a user has, and may have. */
export type ListedQuota = Data<typeof ListedQuota>;
const ListedQuota = Type.Object({
  what: Type.Enum(['secrets', 'secret_bytes', 'open_jobs', 'file_bytes']),
  used: Type.Integer(),
  allowed: Type.Integer(),
  days: orNull(Type.Integer(), { description: 'counted over so many days; null for what there is now' }),
});

export const getQuotas = call({
  path: 'system/get_quotas',
  http: 'GET',
  panda: false,
  summary: 'How much the caller keeps and has under way, and may: secrets, jobs, files.',
  parameters: Type.Object({}),
  answer: Type.Array(ListedQuota),
});
