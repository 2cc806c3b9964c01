import type { Command, Help, HelpConfiguration } from 'commander';
import { outputWidth } from './reporting.ts';

/** A part of the text below the options of a help: a paragraph, or terms and their meanings under a title. */
export type Note = string | { title: string; items: readonly (readonly [term: string, meaning: string])[] };

/** Terms that are longer have a line of their own. */
const MAX_TERM_WIDTH = 28;

/** Makes the help of a program, and of the commands that are added to it, fit the terminal. */
export function fitHelp(program: Command, configuration: HelpConfiguration = {}): Command {
  return program
    .configureOutput({ getOutHelpWidth: outputWidth, getErrHelpWidth: outputWidth })
    .configureHelp({ minWidthToWrap: 12, styleUsage, ...configuration });
}

/** Adds text below the options of a command's help. */
export function addNotes(command: Command, ...notes: readonly Note[]): Command {
  return command.addHelpText('after', ({ command: asked }) => {
    const help = asked.createHelp();
    help.prepareContext({ helpWidth: asked.configureOutput().getOutHelpWidth?.() ?? 80 });
    return `\n${notes.map((note) => laidOut(note, help)).join('\n\n')}`;
  });
}

function laidOut(note: Note, help: Help): string {
  if (typeof note === 'string') return help.boxWrap(note, widthOf(help));
  const most = Math.min(MAX_TERM_WIDTH, Math.floor(widthOf(help) / 3));
  const terms = note.items.map(([term]) => term.length).filter((length) => length <= most);
  const width = Math.max(...terms, 0);
  const items = note.items.map(([term, meaning]) =>
    term.length <= width
      ? help.formatItem(term, width, meaning, help)
      : `  ${term}\n${help.formatItem('', width, meaning, help)}`,
  );
  return [help.boxWrap(note.title, widthOf(help)), ...items].join('\n');
}

function styleUsage(this: Help, usage: string): string {
  const indent = 'Usage: '.length;
  return this.boxWrap(usage, widthOf(this) - indent).replaceAll('\n', `\n${' '.repeat(indent)}`);
}

function widthOf({ helpWidth = 80 }: Help): number {
  return helpWidth;
}
