import { type TArray, type TOptional, type TString, Type } from 'typebox';
import type { SecretKind } from '../names.ts';
import { ATTRIBUTE_NAMES, ATTRIBUTES, type AttributeName, type ToldAttributes } from '../secret-attributes.ts';
import { call, Id } from './call.ts';

const Key = Type.String({ description: 'wire name of the secret; a file has ___file___: in front' });

/** What a secret may carry, as arguments of a call. */
const AttributeArguments = Object.fromEntries(
  ATTRIBUTE_NAMES.map((name) => {
    const { list, about } = ATTRIBUTES[name];
    const description = `extension: ${about}`;
    const schema = list ? Type.Array(Type.String(), { maxItems: 100, description }) : Type.String({ description });
    return [name, Type.Optional(schema)];
  }),
) as {
  [A in AttributeName]: TOptional<(typeof ATTRIBUTES)[A]['list'] extends true ? TArray<TString> : TString>;
};

export const setUserSecrets = call({
  path: 'creds/set_user_secrets',
  http: 'POST',
  panda: true,
  summary: 'Sets a secret. A null value deletes it; a null key deletes all of them.',
  parameters: Type.Object({
    key: Type.Union([Key, Type.Null()]),
    value: Type.Union([Type.String(), Type.Null()]),
    ...AttributeArguments,
  }),
});

/** Answers a *string*: the JSON text of an object wire name -> value. */
export const getUserSecrets = call({
  path: 'creds/get_user_secrets',
  http: 'GET',
  panda: true,
  summary: 'The secrets of the caller, or those that `keys` names.',
  parameters: Type.Object({ keys: Type.Optional(Type.Array(Type.String())) }),
});

export const listUserSecrets = call({
  path: 'creds/list_user_secrets',
  http: 'GET',
  panda: false,
  summary: 'Names, kinds, sizes, attributes and dates of the secrets, without values.',
  parameters: Type.Object({}),
});

/** One secret in the answer of `list_user_secrets`; times are ISO 8601 in UTC. */
export interface ListedSecret extends ToldAttributes {
  /** Without the mark of a file. */
  name: string;
  kind: SecretKind;
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  created_at: string;
  updated_at: string;
}

export const getSecretVersions = call({
  path: 'creds/get_secret_versions',
  http: 'GET',
  panda: false,
  summary: 'The versions of a secret that are still kept, without values.',
  parameters: Type.Object({ key: Key }),
});

/** One version in the answer of `get_secret_versions`, newest first. */
export interface ListedVersion {
  version: number;
  size: number;
  created_at: string;
  current: boolean;
}

export const restoreSecret = call({
  path: 'creds/restore_secret',
  http: 'POST',
  panda: false,
  summary: 'Makes a kept version of a secret the current one again, as a new version.',
  parameters: Type.Object({ key: Key, version: Id }),
});

export const getSecretDeliveries = call({
  path: 'creds/get_secret_deliveries',
  http: 'GET',
  panda: false,
  summary: 'Which jobs on which nodes were given a secret (all secrets without `key`), newest first.',
  parameters: Type.Object({
    key: Type.Optional(Key),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  }),
});

/** One delivery in the answer of `get_secret_deliveries`. */
export interface ListedDelivery {
  at: string;
  task_id: number;
  job_id: number;
  attempt: number;
  pilot: string;
  queue: string;
  node: string;
  /** The KEM that it was sealed with, or `tls`. */
  sealed_with: string;
  /** `name` is the wire name, null for a secret that was deleted since. */
  secrets: { name: string | null; version: number }[];
}
