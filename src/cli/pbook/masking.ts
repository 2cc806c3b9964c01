import { decodedBytes, textOf } from '../../masking/parts/encodings.ts';
import { type HiddenAs, hasLineEnd, type Parts, takeApart } from '../../masking/parts.ts';
import { NotFound } from '../../protocol/errors.ts';
import { type SecretKind, splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import type { MaskChoice } from '../../protocol/secret-attributes.ts';
import { columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { note, printable, printJson, UsageError, warn } from '../reporting.ts';

/** What the logs of jobs hide of a secret, without any of its value. */
export interface Masking {
  name: string;
  kind: SecretKind;
  mask: MaskChoice;
  /** How many parts are hidden for each reason, and the names of their fields. */
  hidden: { reason: string; parts: number; fields: string[] }[];
  /** The names of the fields that stay visible. */
  visible: string[];
  /** More is inside than is taken apart. */
  cut: boolean;
}

const REASONS: Record<HiddenAs, string> = {
  whole: 'the whole value',
  decoded: 'what it decodes to',
  named: 'under a telling name',
  random: 'looks random',
  unknown: 'not known to be harmless',
};

/** `masking KEY` */
export async function masking(
  words: readonly string[],
  { json, signal }: { json?: boolean; signal?: AbortSignal },
): Promise<void> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('masking takes one KEY');
  const found = await findMasking(key, signal);
  if (json) return printJson(found);
  process.stdout.write(found.map(table).join('\n'));
}

/** Of the string and of the file of that name. @throws {NotFound} */
export async function findMasking(key: string, signal?: AbortSignal): Promise<Masking[]> {
  const [secrets, carried] = await withConnection(
    ({ client }) => Promise.all([client.getSecrets(), client.getAttributes()]),
    signal,
  );
  const found = (['string', 'file'] as const).flatMap((kind) => {
    const name = wireName(key, kind);
    const value = secrets.get(name);
    return value === undefined
      ? []
      : [maskingOf(name, value.reveal(), carried.get(name)?.mask === 'whole' ? 'whole' : 'parts')];
  });
  if (found.length === 0) throw new NotFound(`you have no secret named ${key}; "pbook list_secrets" lists them`);
  return found;
}

/** Says in one line, after a secret was set, what of it the logs of jobs will show. */
export function remarkOnMasking(name: WireName, value: string, choice: MaskChoice): void {
  const key = splitWireName(name).name;
  const { hidden, visible } = partsOf(name, value, choice);
  const inLogs = hidden.some(({ part }) => typeof part !== 'string' || !hasLineEnd(part));
  const more = `"pbook masking ${key}" tells more`;
  if (value === '') return;
  if (hidden.length === 0) {
    warn(
      `the value of ${key} is too short or too common to be hidden in the logs of jobs: a job that prints it shows it`,
    );
  } else if (choice === 'whole') {
    if (partsOf(name, value, 'parts').hidden.length > hidden.length || !inLogs) {
      note(
        `Stays visible in the logs of jobs: all that is inside the value of ${key}, which is hidden as a whole alone`,
      );
    }
  } else if (!inLogs) {
    warn(`no line of ${key} looks like a secret by itself: a job that prints it shows its lines (${more})`);
  } else if (visible.length > 0) {
    const names = fieldNames(safeNames(visible, hidden));
    const shown = names.slice(0, SHOWN_NAMES).join(', ');
    const others = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : '';
    if (names.length > 0) note(`Stays visible in the logs of jobs: ${shown}${others} of ${key} (${more})`);
  }
}

const SHOWN_NAMES = 6;

function maskingOf(name: WireName, value: string, choice: MaskChoice): Masking {
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
        : [{ reason: REASONS[as], parts: parts.length, fields: safeNames(fields, hidden) }];
    }),
    visible: fieldNames(safeNames(visible, hidden)),
    cut: isCut,
  };
}

/** A file is taken apart as the text that it holds. */
function partsOf(name: WireName, value: string, choice: MaskChoice): Parts {
  const text = splitWireName(name).kind === 'file' ? textOf(decodedBytes(value)) : value;
  return takeApart(text ?? value, choice);
}

function fieldNames(names: readonly string[]): string[] {
  return names.map((name) => (name === '' ? 'fields without a name' : name));
}

/** A value read in a format that it is not of may have a part of it where a name would be. */
function safeNames(names: readonly string[], hidden: Parts['hidden']): string[] {
  const inside = hidden.flatMap(({ part, as }) => (typeof part === 'string' && as !== 'whole' ? [part] : []));
  return names.filter((name) => !inside.some((part) => name !== '' && part.length < 256 && part.includes(name)));
}

function table({ name, kind, mask, hidden, visible, cut }: Masking): string {
  const rows = hidden.map(({ reason, parts, fields }) => ['hidden', reason, String(parts), list(fields)]);
  if (hidden.length === 0) rows.push(['visible', 'too short or too common', '', '']);
  if (visible.length > 0)
    rows.push(['visible', 'known to be harmless, or short', String(visible.length), list(visible)]);
  const head = [
    { title: 'In logs' },
    { title: 'Because' },
    { title: 'Parts', align: 'right' as const },
    { title: 'Fields' },
  ];
  const rest = cut ? 'More is inside than is taken apart: the rest is hidden with the whole value alone\n' : '';
  return `${printable(name)}${kind === 'file' ? ' (file)' : ''}${mask === 'whole' ? ', masked as a whole: nothing inside it is hidden' : ''}\n${columns(head, rows)}${rest}`;
}

const SHOWN_FIELDS = 20;

function list(names: readonly string[]): string {
  const more = names.length > SHOWN_FIELDS ? ` and ${names.length - SHOWN_FIELDS} more` : '';
  return `${names.slice(0, SHOWN_FIELDS).map(printable).join(', ')}${more}`;
}
