import { Type } from 'typebox';
import { call, type Data, Nothing } from './call.ts';

const Bytes32 = Type.String({
  pattern: '^[A-Za-z0-9_-]{43}$',
  description: '32 bytes, base64url',
  examples: ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
});

/** A session that was opened. */
export type JoinedPilot = Data<typeof JoinedPilot>;
const JoinedPilot = Type.Object({
  pilot_id: Type.String({ description: 'its name from now on' }),
  queue: Type.String({ description: 'the queue that it serves', examples: ['SITE_A'] }),
  expires_at: Type.Integer({ description: 'milliseconds since 1970 UTC' }),
  server_time: Type.Integer({ description: 'milliseconds since 1970 UTC' }),
  mac: Type.String({ description: "the server's proof that it knows the token" }),
});

/** Opens a session for a pilot that proves to hold a join token. Needs no other proof of who calls. */
export const joinPilot = call({
  path: 'pilot/join',
  http: 'POST',
  panda: false,
  summary: 'Opens a session for a pilot that holds a one-time join token, which is not sent.',
  parameters: Type.Object({
    token_id: Type.String({
      pattern: '^[\\w-]{1,64}$',
      description: 'the part of the join token before its dot',
      examples: ['VxY3m0'],
    }),
    queue: Type.String({ maxLength: 64, description: 'the queue that the token is for', examples: ['SITE_A'] }),
    node: Type.String({ maxLength: 255, description: 'the name of its machine, for show' }),
    public_key: Type.String({ ...Bytes32, description: 'the Ed25519 key that will sign its requests' }),
    nonce: Type.String({
      ...Bytes32,
      description: '32 random bytes, base64url: the answer proves that it is to this request',
    }),
    mac: Type.String({ ...Bytes32, description: 'HMAC-SHA-256 over all of it under a key derived from the token' }),
  }),
  answer: JoinedPilot,
});

/** Ends the session that it is called in. */
export const leavePilot = call({
  path: 'pilot/leave',
  http: 'POST',
  panda: false,
  summary: "Ends the pilot's session; attempts that it still holds run out with their leases.",
  parameters: Type.Object({}),
  answer: Nothing,
});
