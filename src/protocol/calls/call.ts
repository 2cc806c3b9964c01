import { type Static, type TObject, type TSchema, Type } from 'typebox';

/**
 * One call of the API: `/api/v1/PATH`. The server checks arguments against `parameters`, and describes them and what it answers
 * in its OpenAPI document; the client takes the types of both (`calls.ts`), so that a command line loads no schema.
 */
export interface Call {
  /** `GROUP/METHOD`. */
  path: string;
  http: 'GET' | 'POST';
  /** PanDA has the call too; the others are our extensions. */
  panda: boolean;
  /** Its effect, for the page of the API; Markdown of one paragraph. */
  summary: string;
  /** Query string of a GET, JSON body of a POST. */
  parameters: TObject;
  /** The type of the body of a POST, where it is not JSON: the parameters are in the query string then. */
  body?: 'application/octet-stream' | 'multipart/form-data';
  /** The largest body in bytes: `SMALL_BODY_BYTES` of JSON unless it says more. A body that is not JSON and has no limit here is a file. */
  maxBodyBytes?: number;
  /** An answer a moment later does as well: the server may do some of its work together with that of other requests. */
  hasTime?: boolean;
  /** `data` of the envelope when the call succeeds; or the answer is the bytes of a file, without an envelope. */
  answer: TSchema | typeof BYTES;
}

/** In place of the schema of an answer. */
export const BYTES = 'bytes';

/** The arguments of a call, as TypeScript sees them. */
export type Arguments<C extends Call> = Static<C['parameters']>;

/** The `data` that a call answers. */
export type Answer<C extends Call> = C['answer'] extends typeof BYTES ? never : Data<C['answer']>;

/** A value of a schema that arrived, or is sent: nobody changes it. */
export type Data<S extends TSchema> = Unchanging<Static<S>>;

type Unchanging<T> = T extends readonly (infer E)[]
  ? readonly Unchanging<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Unchanging<T[K]> }
    : T;

/** The largest number that JSON carries as it is, and that both databases keep. */
export const MAX_WHOLE = Number.MAX_SAFE_INTEGER;
/** An id that a database counted up. */
export const Id = Type.Integer({ minimum: 1, maximum: MAX_WHOLE });
/** The answer of a call that has nothing to tell but that it is done. */
export const Nothing = Type.Null();

/** A schema's value, or null. */
export function orNull<S extends TSchema>(schema: S, options: { description?: string; examples?: unknown[] } = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** The same with examples of its value, which the page of the API shows. */
export function example<S extends TSchema>(schema: S, ...examples: unknown[]): S {
  return { ...schema, examples };
}

export function call<const C extends Call>(definition: C): C {
  return definition;
}
