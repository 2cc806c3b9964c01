/** The fields of a JSON schema that the page of the API reads. */
export interface Schema {
  type?: string;
  enum?: unknown[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  const?: unknown;
  examples?: unknown[];
  minimum?: number;
  maxItems?: number;
}

/** A value that a schema accepts: the first of its examples, or one made of its parts. */
export function exampleOf(schema: Schema): unknown {
  const { examples, enum: words, const: constant, anyOf, type, items = {}, properties = {}, minimum } = schema;
  if (examples && examples.length > 0) return examples[0];
  if (constant !== undefined) return constant;
  if (words) return words[0];
  if (anyOf) return exampleOf(anyOf.find((one) => one.type !== 'null') ?? {});
  if (type === 'array') return schema.maxItems === 0 ? [] : [exampleOf(items)];
  if (type === 'object') {
    return Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, exampleOf(field)]));
  }
  if (type === 'integer' || type === 'number') return Math.max(minimum ?? 1, 1);
  if (type === 'boolean') return true;
  return type === 'null' || type === undefined ? null : '...';
}
