import type { EventEmitter } from 'node:events';
import type { Command, Option } from 'commander';

/** A command as its user sees it. */
export interface CommandModel {
  /** The program's name and the command's: `['panda-secrets', 'user', 'add']`. */
  path: string[];
  /** The arguments after the path. */
  usage: string;
  description: string;
  options: OptionModel[];
  /** Words that its first argument may be. */
  choices: string[];
  commands: CommandModel[];
  /** The help's text below the options. */
  notes: string;
}

export interface OptionModel {
  /** `-f, --follow` */
  flags: string;
  /** `-f` and `--follow`. */
  names: string[];
  description: string;
  takesValue: boolean;
  /** The values that are allowed, where they are a list. */
  choices: string[];
}

export function modelOf(command: Command, parents: readonly string[] = []): CommandModel {
  const help = command.createHelp();
  const path = [...parents, command.name()];
  const commands = help.visibleCommands(command).map((subcommand) => modelOf(subcommand, path));
  return {
    path,
    usage: command.usage(),
    description: command.description(),
    options: help.visibleOptions(command).map((option) => optionOf(option, help.optionDescription(option))),
    choices: [...(command.registeredArguments[0]?.argChoices ?? [])],
    commands,
    notes: notesOf(command),
  };
}

/** A command and those below it, the outer ones first. */
export function allOf(command: CommandModel): CommandModel[] {
  return [command, ...command.commands.flatMap(allOf)];
}

function optionOf(option: Option, description: string): OptionModel {
  return {
    flags: option.flags,
    names: [option.short, option.long].filter((name) => name !== undefined),
    description,
    takesValue: option.required,
    choices: [...(option.argChoices ?? [])],
  };
}

/** The text that `addHelpText('after', ...)` was given. */
function notesOf(command: Command): string {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  command.configureOutput({ getOutHelpWidth: () => 80 }); // Whatever the terminal of who makes the pages.
  (command as unknown as EventEmitter).emit('afterHelp', { error: false, command, write });
  return text.replace(/^\n+|\n+$/g, '');
}
