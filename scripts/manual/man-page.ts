import type { CommandModel, OptionModel } from './command-model.ts';

/** A program's manual page (section 1) in roff, for `man`. @param others the pages to see also */
export function manPage(program: CommandModel, version: string, others: readonly string[]): string {
  const [name = ''] = program.path;
  const { before, sections } = splitNotes(program.notes);
  const commands = leavesOf(program);
  return [
    `.\\" Made from the code by "npm run manual".`,
    `.TH ${quoted(name.toUpperCase())} 1 "" ${quoted(`panda-secrets ${version}`)} "User Commands"`,
    '.SH NAME',
    `${text(name)} \\- ${text(firstLower(program.description.replace(/\.$/, '')))}`,
    '.SH SYNOPSIS',
    synopsis(program),
    ...commands.flatMap((command) => ['.br', synopsis(command)]),
    '.SH DESCRIPTION',
    text(program.description),
    ...verbatim(before),
    '.SH OPTIONS',
    ...program.options.flatMap(option),
    ...(commands.length > 0 ? ['.SH COMMANDS'] : []),
    ...commands.flatMap((command) => [
      `.SS ${quoted(command.path.slice(1).join(' '))}`,
      text(command.description),
      ...command.options.filter(({ names }) => !names.includes('--help')).flatMap(option),
      ...verbatim(command.notes),
    ]),
    ...sections.flatMap(({ title, body }) => [`.SH ${quoted(title.toUpperCase())}`, ...verbatim(body)]),
    '.SH SEE ALSO',
    others
      .filter((other) => other !== name)
      .map((other) => `.BR ${text(other)} (1)`)
      .join(' ,\n'),
    '',
  ].join('\n');
}

/** Commands that do something: not those that only hold others, nor the one that tells of them. */
function leavesOf(command: CommandModel): CommandModel[] {
  return command.commands
    .filter(({ path }) => path.at(-1) !== 'help')
    .flatMap((inner) => [...(inner.commands.length === 0 || hasOwnOptions(inner) ? [inner] : []), ...leavesOf(inner)]);
}

function synopsis({ path, usage }: CommandModel): string {
  return `.B ${text(path.join(' '))}\n${text(usage)}`;
}

function option({ flags, description }: OptionModel): string[] {
  return ['.TP', `.B ${text(flags)}`, text(description)];
}

const OWN_SECTION = /^(Environment|Exit status):\s*/;

/** The notes before, and those that a manual page has a section for. */
function splitNotes(notes: string): { before: string; sections: { title: string; body: string }[] } {
  const parts = notes.split(/\n\n(?=Environment:|Exit status:)/);
  const sections = parts.flatMap((part) => {
    const title = OWN_SECTION.exec(part)?.[1];
    return title ? [{ title, body: part.replace(OWN_SECTION, '') }] : [];
  });
  return { before: parts.filter((part) => !OWN_SECTION.test(part)).join('\n\n'), sections };
}

function verbatim(body: string): string[] {
  if (body === '') return [];
  return ['.PP', '.EX', ...body.split('\n').map((line) => text(line)), '.EE'];
}

/** Text for roff: hyphens that stay hyphens, and nothing that is taken for a request. */
function text(plain: string): string {
  const escaped = plain.replace(/\\/g, '\\(rs').replace(/-/g, '\\-');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

function quoted(plain: string): string {
  return `"${text(plain).replace(/"/g, '\\(dq')}"`;
}

function firstLower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** It does something by itself, beside the commands below it. */
function hasOwnOptions({ options }: CommandModel): boolean {
  return options.some(({ names }) => !names.includes('--help'));
}
