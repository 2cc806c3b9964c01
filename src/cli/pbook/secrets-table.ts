import type { ToldSecret } from '../../client/secrets.ts';
import { SHOWN_VALUE_CHARS } from '../../protocol/limits.ts';
import { type SecretKind, splitWireName } from '../../protocol/names.ts';
import { attributeRemarks, type ToldAttributes } from '../../protocol/secret-attributes.ts';
import { type ToldTlsQueue, tlsQueueRemark } from '../../protocol/tls-queues.ts';
import type { OwnSecret } from '../../sealed/own-secrets.ts';
import { problemOf } from '../own-secrets.ts';
import { outputWidth, printable } from '../reporting.ts';
import { loadWrap, measureFor } from '../text-layout.ts';

/**
 * The list of secrets in two columns, as PanDA's pbook shows it: sorted, the mark of a file left out, values cut at
 * `SHOWN_VALUE_CHARS` characters unless `full`, behind them what else a secret carries, for whom it is sealed, and which of the queues
 * that it names are weak.
 *
 * With `names` the values are left out.
 */
export function secretsTable(
  secrets: readonly OwnSecret[],
  carried: ReadonlyMap<OwnSecret['name'], ToldSecret>,
  {
    full,
    weak,
    until,
    withUse = false,
    width = outputWidth(),
  }: {
    full: boolean;
    weak: readonly ToldTlsQueue[];
    until: ReadonlyMap<string, string>;
    /** Tells when a job last got each. */
    withUse?: boolean;
    width?: number;
  },
): Promise<string> {
  const rows = secrets
    .map((secret) => ({
      ...splitWireName(secret.name),
      secret,
      value: secret.value?.reveal() ?? '',
      told: carried.get(secret.name) ?? {},
    }))
    .sort(byName)
    .map(({ name, kind, secret, value, told }) => ({
      name: printable(name),
      text: printable(full ? value : cut(value)),
      remarks: [
        ...(kind === 'file' && secret.value ? [`file, ${fileSize(value)} bytes`] : []),
        ...sealRemarks(secret, until),
        ...remarksOn(told, weak),
        ...(withUse ? useRemark(told) : []),
      ],
    }));
  return twoColumns('Value', rows, { width, isWhole: full });
}

/** A secret without its value. `size`: of the value as it was sent, where it is known. */
export interface NamedSecret {
  name: string;
  kind: SecretKind;
  size?: number;
  told: ToldSecret;
  /** Of one that was opened: its sealing, and the size of a file. */
  remarks?: readonly string[];
}

/** The secrets of a list, without their values. */
export function namedSecrets(
  secrets: readonly OwnSecret[],
  carried: ReadonlyMap<OwnSecret['name'], ToldSecret>,
  until: ReadonlyMap<string, string>,
): NamedSecret[] {
  return secrets.map((secret) => ({
    ...splitWireName(secret.name),
    told: carried.get(secret.name) ?? {},
    remarks: sealRemarks(secret, until),
  }));
}

/** The same without values. */
export function namesTable(
  secrets: readonly NamedSecret[],
  weak: readonly ToldTlsQueue[],
  width = outputWidth(),
): Promise<string> {
  const rows = secrets.toSorted(byName).map(({ name, kind, told, remarks = [] }) => ({
    name: printable(name),
    text: kind,
    remarks: [...remarks, ...remarksOn(told, weak), ...useRemark(told)],
  }));
  return twoColumns('Kind', rows, { width, isWhole: false });
}

interface Row {
  name: string;
  text: string;
  remarks: string[];
}

const INDENT = '    ';
/** The widest that the column of names is for all rows: a longer name has a line of its own. */
const MAX_NAME_WIDTH = 32;

/** @param isWhole texts are not broken, so that they can be copied as they are */
async function twoColumns(
  title: string,
  rows: readonly Row[],
  { width, isWhole }: { width: number; isWhole: boolean },
): Promise<string> {
  const shown = rows.map(({ text, remarks }) => (remarks.length > 0 ? `${text} (${remarks.join('; ')})` : text));
  const measure = await measureFor([...rows.map(({ name }) => name), ...shown]);
  const most = Math.min(MAX_NAME_WIDTH, Math.floor(width / 3));
  const fitting = rows.map(({ name }) => measure(name)).filter((one) => one <= most);
  const nameWidth = Math.max('Key'.length, ...fitting);
  const indent = INDENT + ' '.repeat(nameWidth + ' : '.length);
  const room = Math.max(MAX_NAME_WIDTH, width - indent.length);
  const isFitting = (text: string) => isWhole || measure(text) <= room;
  const wrap = shown.every(isFitting) ? undefined : await loadWrap();
  const texts = shown.map((text) => (wrap && !isFitting(text) ? wrap(text, room).split('\n') : [text]));
  const ruled = Math.min(room, Math.max(title.length, ...texts.flat().map((text) => measure(text))));
  const lines = rows.flatMap(({ name }, n) => {
    const [first = '', ...others] = texts[n] ?? [];
    const padding = nameWidth - measure(name);
    const start =
      padding >= 0 ? [`${INDENT}${name}${' '.repeat(padding)} : ${first}`] : ownLine(name, nameWidth, first);
    return [...start, ...others.map((text) => indent + text)];
  });
  const head = [
    `${INDENT}Key${' '.repeat(nameWidth - 3)} : ${title}`,
    `${INDENT}${'-'.repeat(nameWidth)} : ${'-'.repeat(ruled)}`,
  ];
  return `\n${[...head, ...lines].map((line) => `${line}\n`).join('')}`;
}

function ownLine(name: string, nameWidth: number, text: string): string[] {
  return [`${INDENT}${name}`, `${INDENT}${' '.repeat(nameWidth)} : ${text}`];
}

function remarksOn(told: Partial<ToldAttributes>, weak: readonly ToldTlsQueue[]): string[] {
  return [...attributeRemarks(told), ...tlsQueueRemark(told.queues ?? null, weak)].map(printable);
}

/** A server of an earlier release tells nothing. */
function useRemark({ last_used_at: at }: ToldSecret): string[] {
  if (at === undefined) return [];
  return [at === null ? 'never used' : `last used ${at.slice(0, 10)}`];
}

function sealRemarks(secret: OwnSecret, until: ReadonlyMap<string, string>): string[] {
  const problem = problemOf(secret);
  if (problem !== undefined) return [problem];
  if (!secret.sealed) return [];
  const { sites, unproven } = secret.sealed;
  const shown = sites.map(
    ({ id, serial }) => until.get(`${id} ${serial}`) ?? 'a site or record that is not trusted now',
  );
  return [
    `sealed for ${sites.length === 0 ? 'you alone' : shown.join(', ')}`,
    ...(unproven ? ['unproven: this device never saw it, and cannot tell if it is the newest'] : []),
  ];
}

/** By code point, as Python sorts. */
function byName(a: { name: string; kind: SecretKind }, b: { name: string; kind: SecretKind }): number {
  return compare(a.name, b.name) || compare(b.kind, a.kind);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function cut(value: string): string {
  const signs = [...value.slice(0, 2 * SHOWN_VALUE_CHARS + 2)];
  return signs.length > SHOWN_VALUE_CHARS ? `${signs.slice(0, SHOWN_VALUE_CHARS).join('')}...` : value;
}

function fileSize(base64: string): number {
  return Buffer.byteLength(base64, 'base64');
}
