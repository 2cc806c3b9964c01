import { XmlElement as Element, parseXml, type XmlDocument, type XmlElement, XmlText } from '@rgrove/parse-xml';
import { parse as parseProperties } from 'dot-properties';
import { parse as parseDotenv } from 'dotenv';
import { parse as parseToml } from 'smol-toml';
import { parseAllDocuments } from 'yaml';
import { MAX_PARSED_PART_CHARS } from '../../protocol/limits.ts';
import { type Field, fieldsOf, LINE_END, namedField, type Reader } from './field.ts';
import { isOneLineOfMany } from './settings.ts';

/** The fields of a document of JSON, XML, TOML or YAML. Text that the parser does not take is not of its format. */
export const readDocument: Reader = (text) => {
  if (/^\s*[{["]/.test(text)) {
    const fields = parsed(() => JSON.parse(text));
    if (fields.length > 0) return [...fields, ...largeNumbers(text)];
  }
  if (text.length > MAX_PARSED_PART_CHARS) return [];
  for (const [looksSo, parse] of FORMATS) {
    const fields = looksSo.test(text) ? parsed(() => parse(text)) : [];
    if (fields.length > 0) return fields;
  }
  return [];
};

/** The fields of \`.env\` and Java's properties: any list of settings may be either. */
export const readSettingsFile: Reader = (text) => {
  if (text.length > MAX_PARSED_PART_CHARS || !isListOfSettings(text)) return [];
  const fields = [parseDotenv, parseProperties].flatMap((parse) => parsed(() => parse(text)));
  return fields.filter(({ name = '' }) => /^[\p{L}_$]/u.test(name) && !/^(?:export|set|setenv)$/.test(name));
};

const FORMATS: readonly (readonly [RegExp, (text: string) => unknown])[] = [
  [/^\s*<[^\s<>]/, (text) => xmlTree(parseXml(text))],
  [/^[ \t]*[\w."'-]+[ \t]*=[ \t]*(?:"|'|\[|\{|[+\-\d]|true|false)/m, parseToml],
  [
    /^[ \t]*(?:- {0,8})?(?:"[^"\n]*"|'[^'\n]*'|[\w.@/][\w.@/ -]{0,80}):(?:[ \t]|$)|^[ \t]*- {1,8}\S|^[ \t]*\{/m,
    yamlDocuments,
  ],
];

const SETTING = /^\s*(?:(?:export|set|setenv)\s+)?["']?[\p{L}_$][\p{L}\p{N}_."'/$ -]{0,80}?\s*(?:=|:\s)/u;
const COMMENT = /^\s*(?:[#;!].*|\[[^\]]*\]\s*)?$/;

/** Nothing but settings, comments and names of sections: no program, no prose. A value may go on in further lines. */
function isListOfSettings(text: string): boolean {
  if (isOneLineOfMany(text)) return false;
  let settings = 0;
  let goesOn = false;
  let quote: string | undefined;
  for (const line of text.split(LINE_END)) {
    if (quote !== undefined) {
      if (line.includes(quote)) quote = undefined;
    } else if (!goesOn && SETTING.test(line)) {
      settings += 1;
      quote = /[=:]\s*(["'])(?!.*\1)/.exec(line)?.[1];
    } else if (!goesOn && !COMMENT.test(line)) {
      return false;
    }
    goesOn = /\\$/.test(line);
  }
  return settings > 0;
}

/** Digits as they stand there: a number in JavaScript has 15 of them. */
function largeNumbers(text: string): Field[] {
  const numbers = text.matchAll(/"([^"\\]{1,80})"\s*:\s*(-?\d{16,})\s*[,}\]]/g);
  return [...numbers].map(([, name = '', digits = '']) => namedField(name, digits));
}

function parsed(parse: () => unknown): Field[] {
  try {
    return fieldsOf(parse());
  } catch {
    return [];
  }
}

/** A document that is one scalar is any text at all. */
/** Deeper in one line, or in brackets, is no file that somebody wrote: YAML's parser takes the square of the depth in time. */
const MAX_YAML_DEPTH = 64;

function isTooDeep(text: string): boolean {
  let brackets = 0;
  let inLine = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '[' || sign === '{') brackets += 1;
    else if (sign === ']' || sign === '}') brackets = Math.max(0, brackets - 1);
    else if (sign === '\n' || sign === ',') inLine = 0;
    else if ((sign === ':' || sign === '-' || sign === '?') && /\s/.test(text[at + 1] ?? '')) inLine += 1;
    if (brackets > MAX_YAML_DEPTH || inLine > MAX_YAML_DEPTH) return true;
  }
  return false;
}

function yamlDocuments(text: string): unknown {
  if (isTooDeep(text)) return [];
  const documents = parseAllDocuments(text, {
    schema: 'failsafe',
    logLevel: 'silent',
    uniqueKeys: false,
    prettyErrors: false,
  });
  if (!Array.isArray(documents)) return [];
  if (documents.some(({ errors }) => errors.length > 0)) return [];
  return documents.map((document) => document.toJS() as unknown).filter((node) => typeof node === 'object');
}

/** An element as an object: its attributes by `@name`, its children by their names, its own text as `#text`. */
function xmlTree(node: XmlDocument | XmlElement): unknown {
  const tree: Record<string, unknown> = Object.create(null);
  if (node instanceof Element) for (const [name, value] of Object.entries(node.attributes)) tree[`@${name}`] = value;
  let text = '';
  let called: string | undefined;
  for (const child of node.children) {
    if (child instanceof Element) {
      // In a plist each value stands behind its key.
      const name = node instanceof Element && node.name === 'dict' ? (called ?? child.name) : child.name;
      called = child.name === 'key' ? child.text : undefined;
      tree[name] = [...((tree[name] as unknown[]) ?? []), xmlTree(child)];
    } else if (child instanceof XmlText) text += child.text;
  }
  if (Object.keys(tree).length === 0) return text;
  // Of one child there is no list: a pair of a name and a value is found by its texts.
  for (const [name, value] of Object.entries(tree))
    if (Array.isArray(value) && value.length === 1) tree[name] = value[0];
  if (text.trim() !== '') tree['#text'] = text.trim();
  return tree;
}
