import ajvCompiler from '@fastify/ajv-compiler';
import type { FastifyRequest, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import type { TSchema } from 'typebox';
import type { Call } from '../../protocol/calls/call.ts';
import { InvalidArgument } from '../../protocol/errors.ts';

/** The parts of a JSON schema that are looked at here. */
interface Shape {
  type?: string;
  anyOf?: Shape[];
  const?: unknown;
  items?: Shape;
  properties?: Record<string, Shape>;
}

/** A mistake that the validator reports; `data`, the value itself, goes no further than its kind. */
type Mistake = FastifySchemaValidationError & { data?: unknown };

type Text = string | string[];

/**
 * Gives the arguments of a query string the types that the call declares, by PanDA's rules: a single value stands for a list of
 * one, `true` and `1` in any case for true, a decimal number for an integer (cut), `None` for an optional argument that is
 * not given. What cannot be cast is left as it is, for validation to name.
 */
export function castQuery(call: Call): (request: FastifyRequest) => void {
  const required = new Set<string>(call.parameters.required ?? []);
  const casts = new Map(
    Object.entries(call.parameters.properties as Record<string, TSchema>).map(([name, schema]) => [
      name,
      { cast: castTo(schema as Shape), optional: !required.has(name) },
    ]),
  );
  return (request) => {
    const query = request.query as Record<string, unknown>;
    for (const name in query) {
      const known = casts.get(name);
      if (!known) continue;
      if (query[name] === 'None' && known.optional) delete query[name];
      else query[name] = known.cast(query[name] as Text);
    }
  };
}

function castTo(schema: Shape): (text: Text) => unknown {
  const { type, items, anyOf } = schema;
  if (type === 'array') {
    const element = castTo(items ?? {});
    return (text) => (typeof text === 'string' ? [element(text)] : text.map(element));
  }
  if (type === 'integer') return (text) => castNumber(text, Math.trunc);
  if (type === 'number') return (text) => castNumber(text, (number) => number);
  if (type === 'boolean') return castBoolean;
  const other = anyOf?.find((one) => one.type !== 'null' && one.const === undefined);
  if (other) return (text) => (text === 'None' ? null : castTo(other)(text));
  return (text) => text;
}

/** Each digit can be matched in one way only: a long run of them that is no number is refused at once. */
const DECIMAL = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?\s*$/i;

function castNumber(text: Text, round: (number: number) => number): unknown {
  return typeof text === 'string' && DECIMAL.test(text) ? round(Number(text)) : text;
}

function castBoolean(text: Text): unknown {
  if (typeof text !== 'string') return text;
  const lower = text.toLowerCase();
  if (lower === 'true' || lower === '1') return true;
  if (lower === 'false' || lower === '0') return false;
  return text;
}

const buildAjv = ajvCompiler();

/**
 * Checks arguments with Ajv, as they were sent: nothing is cast, removed or added. Each schema is compiled when the first request
 * needs it, so a server is up sooner.
 */
export function validateWhenNeeded(): FastifySchemaCompiler<unknown> {
  const options = { coerceTypes: false, removeAdditional: false, useDefaults: false, verbose: true } as const;
  const compile = buildAjv({}, { customOptions: options });
  return ({ schema }) => {
    let validate: ReturnType<typeof compile> | undefined;
    return (data) => {
      validate ??= compile({ schema });
      return validate(data) ? true : { error: validate.errors ?? [] };
    };
  };
}

/** The call's parameters as the validator takes them: nothing beyond them is allowed unless the call says so. */
export function strictParameters(call: Call): Record<string, unknown> {
  return { additionalProperties: false, ...call.parameters };
}

/** Says the validator's first mistake in words that name the argument. No value is repeated. */
export function describeMistake(call: Call, mistakes: readonly Mistake[]): InvalidArgument {
  const mistake = mistakes[0];
  const { missingProperty, additionalProperty } = (mistake?.params ?? {}) as Record<string, string | undefined>;
  const path = mistake?.instancePath.split('/').slice(1) ?? [];
  const [name] = path;
  if (name === undefined) {
    if (missingProperty !== undefined) return new InvalidArgument(`missing a required argument: '${missingProperty}'`);
    if (additionalProperty !== undefined) {
      const known = Object.keys(call.parameters.properties);
      const takes = known.length > 0 ? `takes ${known.join(', ')}` : 'takes no arguments';
      return new InvalidArgument(
        `got an unexpected argument ${shown(additionalProperty)}: ${call.path} ${takes.slice(0, 300)}`,
      );
    }
    return new InvalidArgument(`the arguments of ${call.path} must be a JSON object`);
  }
  const schema = (call.parameters.properties as Record<string, Shape>)[name] ?? {};
  if (path.length === 1 && isAboutType(mistake?.keyword)) {
    const wish = wanted(schema);
    const given = nameOfType(mistake?.data);
    const convert = given !== 'a string' && wish.startsWith('a string');
    return new InvalidArgument(
      `Type error: '${name}' must be ${wish}, not ${given}${convert ? '; convert it first, for example with json.dumps or base64' : ''}`,
    );
  }
  const where = path.length === 1 ? `'${name}'` : `'${name}' (at ${path.slice(1).join('.').slice(0, 100)})`;
  return new InvalidArgument(`${where} ${mistake?.message ?? 'is not valid'}`);
}

/** @param data a value that was given: only its kind is told */
function nameOfType(data: unknown): string {
  if (Array.isArray(data)) return 'a list';
  return data === null ? 'null' : (TYPE_NAMES[typeof data] ?? 'something else');
}

function isAboutType(keyword: string | undefined): boolean {
  return keyword === 'type' || keyword === 'anyOf' || keyword === 'const';
}

/** A name that the caller made up, fit for one line of text. */
function shown(name: string): string {
  return `'${name.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')}'`;
}

const TYPE_NAMES: Record<string, string> = {
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  null: 'null',
};

function wanted({ type, anyOf, items, const: constant }: Shape): string {
  if (constant !== undefined) return JSON.stringify(constant);
  if (anyOf) return anyOf.map(wanted).join(' or ');
  if (type === 'array') return `a list, each element ${wanted(items ?? {})}`;
  return TYPE_NAMES[type ?? ''] ?? 'of another type';
}
