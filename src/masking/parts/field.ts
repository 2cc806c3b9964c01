import { type NameTells, tellsOf } from './names.ts';

export const LINE_END = /\r\n|\r|\n/;

/** A piece of a value, as a reader of its format finds it. */
export interface Field {
  /** Its name in the value, or that of what it lies in. */
  name?: string | undefined;
  tells: NameTells;
  text: string;
  /**
   * `field`: the format says that this is a value, so that it is hidden unless it is known to be harmless. `text`: what may be a value,
   * in a text that may be anything, and is hidden when its name or its looks tell. `word`: the same for a line or a word, which was
   * read with the text around it. `digits`: of base64, hidden with what they decode to, and no text. `same`: the piece that it was read
   * from, decoded.
   */
  as: 'field' | 'text' | 'word' | 'digits' | 'same';
}

/** A reader takes `text` for its format and answers what lies in it; nothing when it is not of this format. */
export type Reader = (text: string, from: ReadFrom) => Field[];

/** The piece that the text is of. */
export interface ReadFrom {
  name?: string | undefined;
  tells: NameTells;
  /** The whole value, what it decodes to, or under a telling name: short notations of a login are taken for one. */
  isSecret: boolean;
  decoded: Decoded;
}

/** What a text that is base64 or hex as a whole stands for: its bytes, and their text where they are one. */
export interface Decoded {
  readonly bytes: Uint8Array | undefined;
  readonly text: string | undefined;
}

export function namedField(name: string, text: string, as: Field['as'] = 'field'): Field {
  return { name, tells: tellsOf(name), text, as };
}

const NAMES = ['name', 'Name', 'NAME', 'key', 'Key', 'KEY', '@name', '@key', '@id'];
const VALUES = ['value', 'Value', 'VALUE', '@value', '#text'];

/**
 * The strings, and numbers as strings, in a parsed document at any depth. A field without a telling name takes that of what it lies
 * in; of a pair such as `{name: "password", value: "x"}` the value has that name.
 */
export function fieldsOf(root: unknown): Field[] {
  const fields: Field[] = [];
  // Not recursive: a value may be nested deeper than the stack.
  const waiting: { node: unknown; name: string | undefined; tells: NameTells }[] = [
    { node: root, name: undefined, tells: 'nothing' },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, name, tells } = next;
    if (typeof node === 'string' || typeof node === 'number' || typeof node === 'bigint') {
      fields.push({ name, tells, text: String(node), as: 'field' });
    } else if (Array.isArray(node)) {
      for (const child of node) waiting.push({ node: child, name, tells });
    } else if (node !== null && typeof node === 'object') {
      const pair = pairOf(node as Record<string, unknown>);
      for (const [key, child] of Object.entries(node)) {
        if (key === '#text' && pair === undefined) {
          waiting.push({ node: child, name, tells });
          continue;
        }
        const called = pair?.value === key ? pair.name : key.replace(/^@/, '');
        const own = tellsOf(called);
        waiting.push({ node: child, name: called, tells: own === 'nothing' && tells === 'secret' ? tells : own });
      }
    }
  }
  return fields;
}

function pairOf(node: Record<string, unknown>): { name: string; value: string } | undefined {
  const value = VALUES.find((key) => node[key] !== undefined);
  const name = NAMES.map((key) => node[key]).find((given) => typeof given === 'string');
  return value !== undefined && typeof name === 'string' ? { name, value } : undefined;
}
