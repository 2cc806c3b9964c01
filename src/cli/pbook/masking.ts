import { decodedBytes, textOf } from '../../masking/parts/encodings.ts';
import { isFieldName } from '../../masking/parts/names.ts';
import { type HiddenAs, hasLineEnd, type Parts, takeApart } from '../../masking/parts.ts';
import { Forbidden, NotFound } from '../../protocol/errors.ts';
import { MIN_MASKED_CHARS } from '../../protocol/limits.ts';
import { type SecretKind, splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import type { MaskChoice } from '../../protocol/secret-attributes.ts';
import { columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { readable, readOwnSecrets } from '../own-secrets.ts';
import { note, printable, printJson, UsageError, warn } from '../reporting.ts';

/** The parts of a secret that the logs of jobs hide, without any of its value. */
export interface Masking {
  name: string;
  kind: SecretKind;
  mask: MaskChoice;
  /** The number of parts that are hidden for each reason, and the names of their fields as far as they may be shown. */
  hidden: { reason: string; parts: number; fields: string[] }[];
  /** The number of fields that stay visible, and their names as far as they may be shown. */
  visible: { fields: number; names: string[] };
  /** More is inside than is taken apart. */
  cut: boolean;
}

const REASONS: Record<HiddenAs, string> = {
  whole: 'the whole value',
  decoded: 'the decoded value',
  named: 'under a telling name',
  random: 'looks random',
  unknown: 'not known to be harmless',
};

/** `masking KEY` */
export async function masking(words: readonly string[], { json }: { json?: boolean }): Promise<readonly Masking[]> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('masking takes one KEY');
  const found = await findMasking(key);
  if (json) printJson(found);
  else process.stdout.write((await Promise.all(found.map(table))).join('\n'));
  return found;
}

/** Of the string and of the file of that name. @throws {NotFound} */
async function findMasking(key: string): Promise<Masking[]> {
  const [secrets, carried] = await withConnection(({ client }) =>
    Promise.all([readOwnSecrets(client), client.getAttributes()]),
  );
  const { values, problems } = readable(secrets.filter(({ name }) => splitWireName(name).name === key));
  if (problems[0] !== undefined) throw new Forbidden(problems[0]);
  const found = (['string', 'file'] as const).flatMap((kind) => {
    const name = wireName(key, kind);
    const value = values.get(name);
    return value === undefined
      ? []
      : [maskingOf(name, value.reveal(), carried.get(name)?.mask === 'whole' ? 'whole' : 'parts')];
  });
  if (found.length === 0) throw new NotFound(`you have no secret named ${key}; "pbook list_secrets" lists them`);
  return found;
}

/** Says in one line, after a secret was set, what of it the logs of jobs will show. */
export function remarkOnMasking(name: WireName, value: string, choice: MaskChoice): void {
  const remark = maskingRemark(name, value, choice);
  if (remark) (remark.isWarning ? warn : note)(remark.text);
}

/** That line, where there is something to say. */
export function maskingRemark(
  name: WireName,
  value: string,
  choice: MaskChoice,
): { text: string; isWarning: boolean } | undefined {
  if (value === '') return undefined;
  const key = splitWireName(name).name;
  const { hidden, visible } = partsOf(name, value, choice);
  const inLogs = hidden.some(({ part }) => typeof part !== 'string' || !hasLineEnd(part));
  const more = `"pbook masking ${key}" tells more`;
  const warning = (text: string) => ({ text, isWarning: true });
  const remark = (what: string) => ({ text: `Stays visible in the logs of jobs: ${what}`, isWarning: false });
  if (hidden.length === 0) {
    return warning(
      `the value of ${key} is too short or too common to be hidden in the logs of jobs: a job that prints it shows it`,
    );
  }
  if (choice === 'whole') {
    const hasMore = partsOf(name, value, 'parts').hidden.length > hidden.length || !inLogs;
    return hasMore ? remark(`all that is inside the value of ${key}, which is hidden as a whole alone`) : undefined;
  }
  if (!inLogs) {
    return warning(
      `no line of ${key} looks like a secret by itself: a job that prints some of them shows them (${more})`,
    );
  }
  if (visible.length === 0) return undefined;
  const { names, others } = shownFields(visible, hidden, SHOWN_NAMES);
  return remark(`${told(names, others)} of ${key} (${more})`);
}

/** Names in the line of `set_secret`, and in a cell of the table. */
const SHOWN_NAMES = 6;
const SHOWN_FIELDS = 20;

/** Describes the parts of one secret that the logs of jobs hide. */
export function maskingOf(name: WireName, value: string, choice: MaskChoice): Masking {
  const { hidden, visible, isCut } = partsOf(name, value, choice);
  const reasons = Map.groupBy(hidden, ({ as }) => as);
  return {
    ...splitWireName(name),
    mask: choice,
    hidden: (Object.keys(REASONS) as HiddenAs[]).flatMap((as) => {
      const parts = reasons.get(as) ?? [];
      const fields = [...new Set(parts.flatMap((part) => (part.name === undefined ? [] : [part.name])))];
      return parts.length === 0
        ? []
        : [{ reason: REASONS[as], parts: parts.length, fields: shownFields(fields, hidden).names }];
    }),
    visible: { fields: visible.length, names: shownFields(visible, hidden).names },
    cut: isCut,
  };
}

/** A file is taken apart as the text that it holds. */
function partsOf(name: WireName, value: string, choice: MaskChoice): Parts {
  const text = splitWireName(name).kind === 'file' ? textOf(decodedBytes(value)) : value;
  return takeApart(text ?? value, choice);
}

/**
 * The names of fields that may be shown, at most `most`, and how many others there are. A text read in a format that it is not of, such as a
 * program, has pieces of it where names would be: only a name of words that name fields is told (`isFieldName`).
 */
function shownFields(
  fields: readonly string[],
  hidden: Parts['hidden'],
  most = SHOWN_FIELDS,
): { names: string[]; others: number } {
  const inside = hidden.flatMap(({ part, as }) => (typeof part === 'string' && as !== 'whole' ? [part] : []));
  const isInside = (name: string) => name.length >= MIN_MASKED_CHARS && inside.some((part) => part.includes(name));
  const names = fields.filter((name) => isFieldName(name) && !isInside(name)).slice(0, most);
  return { names, others: fields.length - names.length };
}

/** `host, user and 2 other fields` */
function told(names: readonly string[], others: number): string {
  const fields = others === 1 ? 'field' : 'fields';
  if (others === 0) return names.join(', ');
  return names.length === 0 ? `${others} ${fields}` : `${names.join(', ')} and ${others} other ${fields}`;
}

async function table({ name, kind, mask, hidden, visible, cut }: Masking): Promise<string> {
  const rows = hidden.map(({ reason, parts, fields }) => ['hidden', reason, String(parts), fields.join(', ')]);
  if (hidden.length === 0) rows.push(['visible', 'too short or too common', '', '']);
  if (visible.fields > 0)
    rows.push([
      'visible',
      'known to be harmless, or short',
      String(visible.fields),
      told(visible.names, visible.fields - visible.names.length),
    ]);
  const head = [
    { title: 'In logs' },
    { title: 'Because' },
    { title: 'Parts', align: 'right' as const },
    { title: 'Fields' },
  ];
  const rest = cut ? 'More is inside than is taken apart: the rest is hidden with the whole value alone\n' : '';
  return `${printable(name)}${kind === 'file' ? ' (file)' : ''}${mask === 'whole' ? ', masked as a whole: nothing inside it is hidden' : ''}\n${await columns(head, rows)}${rest}`;
}
