import { Type } from 'typebox';
import { call, type Data, Nothing, orNull } from './call.ts';

/** A person's own logins and password, where their account is one of this server. */

const Time = Type.String({ description: 'ISO 8601, UTC', examples: ['2026-11-20T16:40:11.000Z'] });

/** A program or a browser that the caller logged in. */
export type ListedLogin = Data<typeof ListedLogin>;
const ListedLogin = Type.Object({
  id: Type.String({ description: 'as end_login takes it' }),
  kind: Type.Enum(['program', 'browser']),
  program: orNull(Type.String(), { description: 'its name; null for a login of before this was noted' }),
  device: orNull(Type.String(), { description: 'the machine, or the browser and its system, as it says itself' }),
  address: orNull(Type.String(), { description: 'the network address that it was used from last' }),
  created_at: Time,
  used_at: Type.String({ description: 'ISO 8601, UTC: when it was given tokens last' }),
  expires_at: Time,
  current: Type.Boolean({ description: 'the one of the token that this call was made with' }),
});

export const listLogins = call({
  path: 'login/list_logins',
  http: 'GET',
  panda: false,
  summary: "The caller's logins: programs and browsers, the one that was used last first.",
  parameters: Type.Object({}),
  answer: Type.Array(ListedLogin),
});

export const endLogin = call({
  path: 'login/end_login',
  http: 'POST',
  panda: false,
  summary: 'Ends one login of the caller. Its tokens are refused within half a minute.',
  parameters: Type.Object({ id: Type.String({ description: 'as list_logins tells it' }) }),
  answer: Nothing,
});

export const endAllLogins = call({
  path: 'login/end_all_logins',
  http: 'POST',
  panda: false,
  summary: 'Ends all logins of the caller. All tokens are refused within half a minute, the one of this call as well.',
  parameters: Type.Object({}),
  answer: Nothing,
});

export const changePassword = call({
  path: 'login/change_password',
  http: 'POST',
  panda: false,
  summary: "Changes the caller's password. That ends all logins and makes all tokens void.",
  parameters: Type.Object({
    current: Type.String({ description: 'the password as it is now' }),
    password: Type.String({ description: 'the new one' }),
  }),
  answer: Nothing,
});
