import { Type } from 'typebox';
import { call } from './call.ts';

export const isAlive = call({
  path: 'system/is_alive',
  http: 'GET',
  panda: true,
  summary: 'Whether the server answers; needs no token.',
  parameters: Type.Object({}),
});

export const getAttributes = call({
  path: 'system/get_attributes',
  http: 'GET',
  panda: true,
  summary: 'What the server sees of this request, without anything that proves who calls; arguments are echoed.',
  parameters: Type.Object({}, { additionalProperties: true }),
});

export const getUserAttributes = call({
  path: 'system/get_user_attributes',
  http: 'GET',
  panda: true,
  summary: 'Who the caller is, as the server sees it.',
  parameters: Type.Object({}),
});
