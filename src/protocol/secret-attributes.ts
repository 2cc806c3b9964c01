import { InvalidArgument } from './errors.ts';
import { parseExpiry, shownExpiry, typedExpiry } from './expiry.ts';
import { parseTrustedQueues } from './trusted-queues.ts';

/** One thing that a secret may carry beside its value. */
interface Attribute {
  /** Given as a list of words, on a command line with commas between them; otherwise as one word. */
  list: boolean;
  /** An example of it, for the usage line: `Q1,Q2`. */
  example: string;
  /** One line for the option and for the API's document. */
  about: string;
  /** Printed by `pbook help set_secret` behind the option, under `heading`. */
  heading: string;
  help: string;
  /**
   * Reads what its owner gives, one word unless `list`.
   *
   * @returns the one spelling of it that is kept; null for a secret that does not carry it
   * @throws {InvalidArgument} naming the attribute and what is allowed
   */
  parse(words: readonly string[]): string | null;
  /** Reads what is typed into what `parse` takes, where people may type more. @throws {InvalidArgument} as `parse` */
  typed?(word: string, now: number): string;
  /** Its words in the list of secrets. */
  remark(words: readonly string[]): string;
}

/**
 * The attributes that a secret may carry, each described once. The option of `pbook set_secret`, the argument of the call, the columns of the
 * secret's row, its place in a change, in the audit and in the list are made from this; `docs/developer.md` tells what else a
 * new one needs.
 */
export const ATTRIBUTES = {
  queues: {
    list: true,
    example: 'Q1,Q2',
    about: 'the only queues whose jobs get it, "*" for any; without it those it has stay',
    heading: 'Where it may go',
    help: 'only jobs on these queues get it; "*" lifts that again. A new value without --queues leaves it as it was',
    parse: (names) => parseTrustedQueues(names)?.join(',') ?? null,
    remark: (names) => `queues ${names.join(', ')}`,
  },
  mask: {
    list: false,
    example: 'whole|parts',
    about: 'how much of it the logs of jobs hide; without it that stays as it was, and is "parts" for a new one',
    heading: 'What logs hide',
    help:
      'parts: the value, and what is secret inside it ("pbook masking KEY" shows the choice); whole: the value alone, ' +
      'nothing inside it',
    parse: ([word]) => {
      if (word === 'parts') return null;
      if (word === 'whole') return word;
      throw new InvalidArgument('mask: must be "whole" or "parts"');
    },
    remark: () => 'masked as a whole',
  },
  expires: {
    list: false,
    example: '30d|DATE|never',
    about: 'no job gets it after that; without it that stays as it was',
    heading: 'When it ends',
    help:
      'how long from now on (12h, 30d), a date (its end) or a time (2027-01-31T12:00:00Z), in UTC; no job gets it afterwards, and ' +
      'the server removes it later. "never" lifts that again',
    parse: ([word = '']) => parseExpiry(word),
    typed: typedExpiry,
    remark: ([expires = '']) => `expires ${shownExpiry(expires)}`,
  },
} as const satisfies Record<string, Attribute>;

export type AttributeName = keyof typeof ATTRIBUTES;

/** The part of a secret that the logs of jobs hide: the value and what is secret inside it, or the value alone. */
export type MaskChoice = 'parts' | 'whole';

/** In the order in which they are told. */
export const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES) as AttributeName[];

/** The one spelling of an attribute, which {@link parseAttributes} makes: what the row holds and every ciphertext is bound to. */
export type AttributeText = string & { readonly __brand: 'AttributeText' };

/** The columns of a secret's row that hold its attributes: believed when a ciphertext opens with them, and not before. */
export type AttributeColumns = { readonly [A in AttributeName]: string | null };

/** Everything that a secret carries; null for what it does not. */
export type Attributes = { readonly [A in AttributeName]: AttributeText | null };

/** The attributes that a change of a secret names. The others stay as they are. */
export type AttributeChange = Partial<Attributes>;

/** An attribute as it is given and told: on the wire and in `--json`. */
type Told<A extends AttributeName> = (typeof ATTRIBUTES)[A]['list'] extends true ? readonly string[] : string;

/** Attributes as their owner gives them. */
export type GivenAttributes = { readonly [A in AttributeName]?: Told<A> | undefined };

/** Attributes as a secret's owner is told them. */
export type ToldAttributes = { readonly [A in AttributeName]: Told<A> | null };

/** The attributes of a secret for which none was named. */
export const NO_ATTRIBUTES = attributes(() => null);

/** @param given may have other properties: only attributes are read @throws {InvalidArgument} as each attribute's `parse` */
export function parseAttributes(given: GivenAttributes): AttributeChange {
  const named: { [A in AttributeName]?: string | null } = {};
  for (const name of ATTRIBUTE_NAMES) {
    const value: string | readonly string[] | undefined = given[name];
    if (value !== undefined) named[name] = ATTRIBUTES[name].parse(typeof value === 'string' ? [value] : value);
  }
  return named as AttributeChange;
}

/**
 * Reads attributes as they are typed, each as one text, into what is sent. Checked here, so that a mistake is told before a value
 * is asked for.
 *
 * @param typed may have other properties: only attributes are read
 * @param now milliseconds since 1970, for what is typed as a time from now on
 * @throws {InvalidArgument} as {@link parseAttributes}
 */
export function typedAttributes(typed: { readonly [name: string]: unknown }, now: number): GivenAttributes {
  const given = Object.fromEntries(
    ATTRIBUTE_NAMES.flatMap((name) => {
      const text = typed[name];
      if (text === undefined) return [];
      if (typeof text !== 'string') throw new InvalidArgument(`${name}: must be text`);
      const { list, typed: read = (word: string) => word }: Attribute = ATTRIBUTES[name];
      return [[name, list ? wordsOf(text) : read(text.trim(), now)]];
    }),
  ) as GivenAttributes;
  return { ...given, ...withoutNull(toldAttributes(parseAttributes(given))) };
}

/** A word that lifts an attribute, `*`, is sent as it was typed. */
function withoutNull(told: Partial<ToldAttributes>): GivenAttributes {
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null));
}

/** The attributes among a row's columns. */
export function attributesOf(row: AttributeColumns): Attributes {
  return attributes((name) => row[name]);
}

/** As the owner is told them; those alone that `kept` has. */
export function toldAttributes<A extends AttributeChange>(kept: A): Pick<ToldAttributes, keyof A & AttributeName> {
  const told: { [A in AttributeName]?: string | string[] | null } = {};
  for (const name of ATTRIBUTE_NAMES) {
    const text = kept[name];
    if (text !== undefined) told[name] = text !== null && ATTRIBUTES[name].list ? text.split(',') : text;
  }
  return told as Pick<ToldAttributes, keyof A & AttributeName>;
}

/** The words of the list of secrets for those that are set. A server of an earlier release tells fewer. */
export function attributeRemarks(told: Partial<ToldAttributes>): string[] {
  return ATTRIBUTE_NAMES.flatMap((name) => {
    const value: string | readonly string[] | null | undefined = told[name];
    return value === null || value === undefined
      ? []
      : [ATTRIBUTES[name].remark(typeof value === 'string' ? [value] : value)];
  });
}

function attributes(of: (name: AttributeName) => string | null): Attributes {
  const made: { [A in AttributeName]?: string | null } = {};
  for (const name of ATTRIBUTE_NAMES) made[name] = of(name);
  return made as Attributes;
}

function wordsOf(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
