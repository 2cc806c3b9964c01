import { type Field, LINE_END, namedField, type Reader, type ReadFrom } from './field.ts';
import { tellsOf } from './names.ts';
import { isMeasure } from './shapes.ts';

/**
 * Readers of names with values in any notation, for what no parser takes: a line of `.env`, of INI or of a shell, a connection string,
 * a query, a cookie, a header, an option of a command, netrc and pgpass, a table with a head.
 */
export const SETTING_READERS: readonly Reader[] = [
  (text) => (/[=:]/.test(text) ? settingsOfLines(text) : []),
  (text) => (/[=:]/.test(text) ? settingsWithin(text) : []),
  settingsBetween,
  (text) => wordPairs(text),
  (text) => tableFields(text),
  (text, { isSecret }) => (isSecret ? colonFields(text) : []),
];

const NAME = String.raw`[\p{L}_$@.][\p{L}\p{N}_.$@-]{0,80}`;
const SETTING_LINE = new RegExp(
  String.raw`^\s*(?:(?:export|set|setenv|setx|env|arg|local|readonly|const|let|var|declare -x|typeset -x)\s+|-{1,2}|- +)?["']?(${NAME}(?: ${NAME}){0,3})["']?\s*(?:=>|:=|\?=|\+=|=|:)\s*(\S.*)$`,
  'iu',
);

/**
 * A whole line: the value goes to its end, with and without what may be a comment there. Where other lines are no settings, the text may
 * be a program.
 */
function settingsOfLines(text: string): Field[] {
  const settings = text
    .split(LINE_END)
    .filter((line) => !/^\s*(?:[#;!].*|\[[^\]]*\]\s*)?$/.test(line))
    .map(settingOfLine);
  if (isOneLineOfMany(text)) return settings.flat().filter(({ tells }) => tells === 'secret');
  const as = settings.every((found) => found.length > 0) && /=|:\s/.test(text) ? 'field' : 'text';
  return settings.flat().map((field) => ({ ...field, as }));
}

/** Settings with a separator between them: the value of the first does not go to the end of the line. */
export function isOneLineOfMany(text: string): boolean {
  return !/[\r\n]/.test(text.trim()) && (text.match(/(?:^|[;&,\s])[\p{L}_][\p{L}\p{N}_.-]*\s?=/gu) ?? []).length > 1;
}

/** The name and the value of a line such as `NAME=value`, `name: value`; nothing of other lines. */
export function settingOfLine(line: string): Field[] {
  const [, name, rest] = SETTING_LINE.exec(line) ?? [];
  if (name === undefined || rest === undefined || rest.startsWith('//')) return [];
  const value = rest.trim();
  const comment = value.search(/\s[#;]/);
  const ends = [
    value,
    ...(comment > 0 ? [value.slice(0, comment).trimEnd()] : []),
    ...(/[,;]$/.test(value) ? [value.slice(0, -1).trimEnd()] : []),
    // A variable for one command: `PGPASSWORD=x psql -h db`.
    ...(/^\s*\w+=\S+\s+[\w./]+\s/.test(line) && /\s-{1,2}\w/.test(value) ? [value.replace(/\s.*$/, '')] : []),
  ];
  return variants(name, ends.flatMap(unquoted));
}

const SETTING_WITHIN = new RegExp(
  String.raw`(${NAME})["']?\s?(?:=>|:=|[=:])\s?(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|\{((?:[^{}\n]|\}\})*)\}|([^\s"',;&{}<>()[\]]+))`,
  'giu',
);

/** Anywhere in a line. */
function settingsWithin(text: string): Field[] {
  return text.split(LINE_END).flatMap((line) => {
    const found = [...line.matchAll(SETTING_WITHIN)];
    // Of one alone the value goes to the end of the line.
    if (found.length < 2 && settingOfLine(line).length > 0) return [];
    const as = line.replace(SETTING_WITHIN, '').trim() === '' ? 'field' : 'text';
    return found.flatMap(([, name = '', double, single, braced, bare]) => {
      const values = [double, single, braced?.replaceAll('}}', '}'), bare].filter((value) => value !== undefined);
      return variants(
        name,
        values.filter((value) => !value.startsWith('//')),
      ).map((field): Field => ({ ...field, as }));
    });
  });
}

/** Of a connection string, a query or a list of cookies: a value may hold any character but the separator. */
function settingsBetween(text: string, { name: called = '' }: ReadFrom): Field[] {
  return text.split(LINE_END).flatMap((line) => {
    const separator = [';', '&', ','].find((sign) => line.includes(sign));
    if (separator === undefined || !line.includes('=')) return [];
    const isCookie = /cookie$/i.test(called) || /^\s*(?:set-)?cookie\s*:/i.test(line);
    const settings = line.replace(/^\s*(?:set-)?cookie\s*:/i, '').split(separator);
    const found = settings.map((setting) => /^\s*(?:[^=\s]*[\s?:])?([^=\s?:]{1,80})\s*=\s*(.*\S)\s*$/u.exec(setting));
    const as = settings.every((setting, at) => found[at] || /^\s*$/.test(setting)) ? 'field' : 'text';
    return found.flatMap((match) => {
      const [, name = '', value = ''] = match ?? [];
      return variants(name, unquoted(value)).map(
        (each): Field => ({ ...each, as, ...(isCookie && { tells: 'secret' }) }),
      );
    });
  });
}

/** `-p` of those commands for which it is a password, with a blank or without. */
const OPTION_OF_CLIENT =
  /(?:\bsshpass|\bmysql(?:dump|admin|import|show)?|\bmariadb|\bmongo(?:sh|dump|restore)?|\b(?:docker|podman|helm registry|skopeo|oras|az|oc) login)\s(?:[^\n|;&]{0,200}?\s)?-p[ \t]?("[^"\n]*"|'[^'\n]*'|[^\s"'$-]\S*)/g;

/** netrc, options of a command, settings such as `requirepass X`, and SQL's `IDENTIFIED BY 'X'`. */
function wordPairs(text: string): Field[] {
  if (!/^-|\s/.test(text)) return [];
  const fields: Field[] = [];
  if (/(?:^|\s)(?:machine\s+\S|default\s)/.test(text)) {
    for (const [, name = '', value = ''] of text.matchAll(/(?:^|\s)(login|password|account)\s+("[^"\n]*"|\S+)/g)) {
      fields.push(...variants(name === 'account' ? 'password' : name, unquoted(value)));
    }
  }
  for (const [, name = '', value = ''] of text.matchAll(
    /(?:^|\s)--?([a-z][\w-]{1,60})[ \t]+("[^"\n]*"|'[^'\n]*'|[^\s-]\S*)/gi,
  )) {
    if (tellsOf(name) === 'secret') fields.push(...variants(name, unquoted(value)));
  }
  for (const [, login = ''] of text.matchAll(/(?:^|\s)(?:-u|--user|--proxy-user)[ =]?([^\s:]+:\S+)/g)) {
    fields.push(namedField('password', login.slice(login.indexOf(':') + 1)));
  }
  for (const [, value = ''] of text.matchAll(OPTION_OF_CLIENT)) fields.push(...variants('password', unquoted(value)));
  for (const [, value = ''] of text.matchAll(/\b(?:identified\s+by|password)\s+'((?:[^'\n]|'')+)'/gi)) {
    fields.push(namedField('password', value.replaceAll("''", "'")));
  }
  const lines = text.split(LINE_END).filter((line) => line.trim() !== '');
  const isListOfPairs = lines.length > 1 && lines.every((line) => /^\s*(?:#.*|[a-z][\w.-]*[ \t]+\S+\s*)$/i.test(line));
  for (const line of lines) {
    const [, set, name = '', value = ''] =
      /^\s*((?:setenv|set|env)[ \t]+)?([a-z][\w.-]{2,60})[ \t]+(\S+)\s*$/i.exec(line) ?? [];
    if (tellsOf(name) === 'secret' && (set !== undefined || isListOfPairs || !/^\p{L}+[.:,;]?$/u.test(value)))
      fields.push(...variants(name, unquoted(value)));
  }
  return fields;
}

/** Lines with as many columns as the first, which has a telling name. */
function tableFields(text: string): Field[] {
  const lines = text.split(LINE_END).filter((line) => line.trim() !== '');
  const [head, ...rows] = lines;
  if (head === undefined || rows.length === 0) return [];
  const separator = ['\t', ',', ';', '|'].find((sign) => head.includes(sign));
  if (separator === undefined) return [];
  const names = head.split(separator).map((name) =>
    name
      .replace(/^\uFEFF/, '')
      .trim()
      .replace(/^"|"$/g, ''),
  );
  if (!names.some((name) => tellsOf(name) === 'secret') || names.some((name) => name.length > 60)) return [];
  return rows.flatMap((row) => {
    const cells = row.split(separator);
    if (cells.length !== names.length) return [];
    return names.flatMap((name, column) => variants(name, unquoted((cells[column] ?? '').trim())));
  });
}

/**
 * `user:password`, where that is the whole text or each line of it, and pgpass, whose password stands last. A colon in a field of
 * pgpass has a backslash before it.
 */
function colonFields(text: string): Field[] {
  const lines = text
    .split(LINE_END)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0 || lines.some((line) => !LOGIN.test(line) || /^jdbc:|:\/\//.test(line) || isMeasure(line)))
    return [];
  return lines.flatMap((line) => {
    const cells = line.split(/(?<!\\):/);
    const isPgpass = cells.length === 5 && /^(?:\d+|\*)$/.test(cells[1] ?? '');
    const raw = isPgpass ? (cells[4] ?? '') : line.slice(line.indexOf(':') + 1);
    if (/^\d{1,5}$/.test(raw)) return [];
    return [raw, raw.replace(/\\([\\:])/g, '$1')].map((password) => namedField('password', password));
  });
}

const LOGIN = /^[\p{L}\p{N}_.@+*$\\-]*:(?!\/\/)\S/u;

function variants(name: string, values: readonly string[]): Field[] {
  return [...new Set(values)].filter((value) => value !== '').map((value) => namedField(name, value));
}

/** As it is and, where it stands in quotes, without them. */
function unquoted(value: string): string[] {
  const [, , within] = /^(["'`])([\s\S]*)\1$/.exec(value) ?? [];
  if (within === undefined) return [value];
  return [within, within.replace(/\\(["'`\\])/g, '$1'), within.replaceAll(`${value[0]}${value[0]}`, value[0] ?? '')];
}
