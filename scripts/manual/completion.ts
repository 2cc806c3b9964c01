import { allOf, type CommandModel, type OptionModel } from './command-model.ts';

/** Commands whose first argument is the name of a secret that is there. */
const TAKE_SECRET = new Set([
  'set_secret',
  'delete_secret',
  'masking',
  'secret_history',
  'secret_versions',
  'restore_secret',
]);
/** Prints these names, one a line. They are never handed to a shell as words to expand: a name may be `$(command)`. */
const SECRET_NAMES = 'pbook secret_names 2>/dev/null';

/** The function that bash calls at Tab. Where nothing is known it completes file names. */
export function bashCompletion(program: CommandModel): string {
  const [name = ''] = program.path;
  const commands = allOf(program);
  const values = valued(commands).map(({ at, option }) => {
    const words = option.choices.length > 0 ? `$(compgen -W '${option.choices.join(' ')}' -- "$current")` : '';
    return arm(alternatives(at), [`COMPREPLY=(${words})`, 'return'], '');
  });
  const words = commands.map((command) => {
    const first = wordsOf(command).map(({ word }) => word);
    return arm(
      alternatives([command.path.join(' ')]),
      [
        'if [[ $current == -* ]]; then',
        `  words='${names(command.options).join(' ')}'`,
        ...(takesSecret(command) ? ['else', '  _pbook_secrets', '  return'] : []),
        ...(first.length > 0 ? ['else', `  words='${first.join(' ')}'`] : []),
        'fi',
      ],
      '',
    );
  });
  return `# Completion of ${name} for bash; made from the code by "npm run manual".
${commands.some(takesSecret) ? BASH_SECRETS : ''}${functionName(program)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} at=${name} word index words=
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    case "$at $word" in
      ${pathPatterns(commands)}) at="$at $word" ;;
    esac
  done
  case "$at \${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join('')}  esac
  case $at in
${words.join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F ${functionName(program)} ${name}
`;
}

const BASH_SECRETS = `_pbook_secrets() {
  local name
  while IFS= read -r name; do
    [[ $name == "$current"* ]] && COMPREPLY+=("$(printf %q "$name")")
  done < <(${SECRET_NAMES})
}
`;

/** The same for zsh: as a file of its own in `$fpath`, or sourced. */
export function zshCompletion(program: CommandModel): string {
  const [name = ''] = program.path;
  const commands = allOf(program);
  const values = valued(commands).map(({ at, option }) => {
    const words = option.choices.length > 0 ? `compadd -- ${option.choices.join(' ')}` : '_files';
    return arm(alternatives(at), [words, 'return']);
  });
  const words = commands.map((command) => {
    const flags = command.options.flatMap(({ names, description }) => names.map((word) => ({ word, description })));
    return arm(alternatives([command.path.join(' ')]), [
      `options=(${described(flags)})`,
      `commands=(${described(wordsOf(command))})`,
    ]);
  });
  const secret = commands.filter(takesSecret).map(({ path }) => path.join(' '));
  return `#compdef ${name}
# Completion of ${name} for zsh; made from the code by "npm run manual".
${functionName(program)}() {
  local at=${name} word index
  local -a commands options
  for ((index = 2; index < CURRENT; index++)); do
    word=$words[index]
    case "$at $word" in
      (${pathPatterns(commands)}) at="$at $word" ;;
    esac
  done
  case "$at $words[CURRENT-1]" in
${values.join('')}  esac
  case $at in
${words.join('')}  esac
  if [[ $PREFIX == -* ]]; then
    _describe -o option options
  elif (( $#commands )); then
    _describe command commands
  else
    case $at in
${secret.length > 0 ? `      (${alternatives(secret)}) compadd -- \${(f)"$(${SECRET_NAMES})"} ;;\n` : ''}      (*) _files ;;
    esac
  fi
}
if [[ $funcstack[1] == ${functionName(program)} ]]; then
  ${functionName(program)} "$@"
else
  compdef ${functionName(program)} ${name}
fi
`;
}

/** One arm of a `case`. @param open zsh's takes a parenthesis in front too */
function arm(pattern: string, lines: readonly string[], open = '('): string {
  return `    ${open}${pattern})\n${lines.map((line) => `      ${line}\n`).join('')}      ;;\n`;
}

function alternatives(texts: readonly string[]): string {
  return texts.map((text) => `'${text}'`).join(' | ');
}

/** The same for fish. */
export function fishCompletion(program: CommandModel): string {
  const [name = ''] = program.path;
  const lines = allOf(program).flatMap((command) => {
    const condition = fishCondition(command);
    return [
      ...wordsOf(command).map(
        ({ word, description }) =>
          `complete -c ${name} -n ${condition} -f -a ${fishQuoted(word)} -d ${fishQuoted(description)}`,
      ),
      ...(takesSecret(command) ? [`complete -c ${name} -n ${condition} -f -a '(${SECRET_NAMES})'`] : []),
      ...command.options.map((option) => {
        const flags = option.names.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        const value =
          option.choices.length > 0
            ? ` -x -a ${fishQuoted(option.choices.join(' '))}`
            : option.takesValue
              ? ' -r -F'
              : '';
        return `complete -c ${name} -n ${condition} ${flags.join(' ')}${value} -d ${fishQuoted(option.description)}`;
      }),
    ];
  });
  return `# Completion of ${name} for fish; made from the code by "npm run manual".\n${lines.join('\n')}\n`;
}

/** All words of the path were typed, and none of the commands that go on from there. */
function fishCondition({ path, commands }: CommandModel): string {
  const seen = path.slice(1).map((word) => `__fish_seen_subcommand_from ${word}`);
  const below = commands.map((command) => command.path.at(-1)).join(' ');
  const none = below ? [`not __fish_seen_subcommand_from ${below}`] : [];
  return fishQuoted([...seen, ...none].join('; and ') || 'true');
}

function functionName({ path: [name = ''] }: CommandModel): string {
  return `_${name.replaceAll('-', '_')}`;
}

/** The words that may stand for the first argument: commands, or a closed list. */
function wordsOf({ commands, choices }: CommandModel): { word: string; description: string }[] {
  return [
    ...commands.map(({ path, description }) => ({ word: path.at(-1) ?? '', description })),
    ...choices.map((word) => ({ word, description: '' })),
  ];
}

function takesSecret({ path }: CommandModel): boolean {
  return path[0] === 'pbook' && TAKE_SECRET.has(path[1] ?? '');
}

function names(options: readonly OptionModel[]): string[] {
  return options.flatMap((option) => option.names);
}

/** Options that take the next word, each with the texts `PATH OPTION` behind which that word stands. */
function valued(commands: readonly CommandModel[]): { at: string[]; option: OptionModel }[] {
  return commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map((option) => ({ at: option.names.map((flag) => `${path.join(' ')} ${flag}`), option })),
  );
}

function pathPatterns(commands: readonly CommandModel[]): string {
  return alternatives(commands.slice(1).map(({ path }) => path.join(' '))) || "''";
}

function described(words: readonly { word: string; description: string }[]): string {
  return words
    .map(({ word, description }) => {
      const entry = description ? `${word.replaceAll(':', '\\:')}:${description}` : word;
      return `'${entry.replaceAll("'", "'\\''")}'`;
    })
    .join(' ');
}

function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
