import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandModel, modelOf } from '../../scripts/manual/command-model.ts';
import { messagesPage } from '../../scripts/manual/messages.ts';
import { programs } from '../../scripts/manual/programs.ts';

const models = new Map(programs().map((program) => [program.name(), modelOf(program)]));

/** The command lines that messages tell people to type: in quotes, or given to another one by a shell. */
function namedLines(): string[] {
  const page = messagesPage().replace(/\\([<>|*_`])/g, '$1');
  const names = [...models.keys()].join('|');
  return [...page.matchAll(new RegExp(`(?:"|\\$\\(|\\| |: {2})((?:${names})\\b[^"()|;\\n]*)`, 'g'))].map(
    ([, line = '']) => line.trim(),
  );
}

/** Why nobody can type a line; undefined when all of its words are known. */
function wrongIn(line: string): string | undefined {
  const [program = '', ...words] = line.split(/\s+/);
  let command = models.get(program) as CommandModel;
  let isBehindOptions = false;
  for (const word of words) {
    const options = command.options.flatMap(({ names }) => names);
    const [name] = /^--[\w-]+/.exec(word) ?? [];
    if (name !== undefined) {
      isBehindOptions = true;
      if (!options.includes(name)) return `${command.path.join(' ')} has no ${name}`;
    } else if (!isBehindOptions && command.commands.length > 0 && /^[a-z]/.test(word)) {
      const found = command.commands.find(({ path }) => path.at(-1) === word);
      if (!found) return `${command.path.join(' ')} has no "${word}"`;
      command = found;
    }
  }
  return undefined;
}

test('each command that a message names is there, with its options', () => {
  const lines = namedLines();
  assert.ok(lines.length > 60, `${lines.length} lines were found`);
  const wrong = lines.flatMap((line) => wrongIn(line) ?? []);
  assert.deepEqual(wrong, []);
});

test('a command or an option that is not there is found', () => {
  assert.equal(wrongIn('panda-secrets user invite alice'), 'panda-secrets user has no "invite"');
  assert.equal(wrongIn('pbook set_secret --forever'), 'pbook set_secret has no --forever');
  assert.equal(wrongIn('panda-secrets user password NAME --link'), undefined);
});
