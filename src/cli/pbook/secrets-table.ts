import { SHOWN_VALUE_CHARS } from '../../protocol/limits.ts';
import { splitWireName, type WireName } from '../../protocol/names.ts';
import { attributeRemarks, type ToldAttributes } from '../../protocol/secret-attributes.ts';
import { type ToldTlsQueue, tlsQueueRemark } from '../../protocol/tls-queues.ts';
import type { OwnSecret } from '../../sealed/own-secrets.ts';
import { problemOf } from '../own-secrets.ts';
import { printable } from '../reporting.ts';

interface Shown {
  full: boolean;
  names: boolean;
  weak: readonly ToldTlsQueue[];
  /** When the records of the sites last, by a site's id and the record's number. */
  until: ReadonlyMap<string, string>;
}

/**
 * The list of secrets in two columns, as PanDA's pbook shows it: sorted, the mark of a file left out, values cut at
 * `SHOWN_VALUE_CHARS` characters unless `full`, behind them what else a secret carries, for whom it is sealed, and which of the queues
 * that it names are weak.
 *
 * With `names` the values are left out.
 */
export function secretsTable(
  secrets: readonly OwnSecret[],
  carried: ReadonlyMap<WireName, Partial<ToldAttributes>>,
  { full, names, weak, until }: Shown,
): string {
  const rows = secrets
    .map((secret) => ({
      ...splitWireName(secret.name),
      secret,
      value: secret.value?.reveal() ?? '',
      told: carried.get(secret.name) ?? {},
    }))
    .sort((a, b) => compare(a.name, b.name) || compare(b.kind, a.kind))
    .map(({ name, kind, secret, value, told }) => {
      const shown = names ? '' : printable(full ? value : cut(value));
      const remarks = [
        ...(kind === 'file' && secret.value ? [`file, ${fileSize(value)} bytes`] : []),
        ...sealRemarks(secret, until),
        ...[...attributeRemarks(told), ...tlsQueueRemark(told.queues ?? null, weak)].map(printable),
      ];
      return [printable(name), remarks.length > 0 ? `${shown} (${remarks.join('; ')})`.trimStart() : shown] as const;
    });
  const nameWidth = widest(
    'Key',
    rows.map(([name]) => name),
  );
  const valueWidth = widest(
    'Value',
    rows.map(([, value]) => value),
  );
  const lines = [['Key', 'Value'], ['-'.repeat(nameWidth), '-'.repeat(valueWidth)], ...rows].map(
    ([name = '', value]) => `    ${name}${' '.repeat(nameWidth - width(name))} : ${value}\n`,
  );
  return `\n${lines.join('')}`;
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

function widest(header: string, texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, width(text)), header.length);
}

function width(text: string): number {
  return [...text].length;
}
