import { type Static, type TObject, Type } from 'typebox';

/**
 * One call of the API: `/api/v1/PATH`. The server checks arguments against `parameters` and describes them in its OpenAPI
 * document; the client takes its types from them (`import type` only, so that a command line loads no schema).
 */
export interface Call<P extends TObject = TObject> {
  /** `GROUP/METHOD`. */
  path: string;
  http: 'GET' | 'POST';
  /** Whether PanDA has the call too; the others are our extensions. */
  panda: boolean;
  /** One line for the OpenAPI page. */
  summary: string;
  /** Query string of a GET, JSON body of a POST. */
  parameters: P;
}

/** The arguments of a call, as TypeScript sees them. */
export type Arguments<C extends Call> = Static<C['parameters']>;

/** The largest number that JSON carries as it is, and that both databases keep. */
export const MAX_WHOLE = Number.MAX_SAFE_INTEGER;
/** An id that a database counted up. */
export const Id = Type.Integer({ minimum: 1, maximum: MAX_WHOLE });

export function call<P extends TObject>(definition: Call<P>): Call<P> {
  return definition;
}
