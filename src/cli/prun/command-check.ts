import { Forbidden } from '../../protocol/errors.ts';
import { warn } from '../reporting.ts';
import { namesIn } from './leaked-secrets.ts';
import { type OwnSecrets, shownNames } from './own-secrets.ts';
import type { PrunOptions } from './program.ts';

/** The fate of the options that are sent, for the message. Names of secrets (`--useSecrets`) are never stored. */
const KEPT: { [option in keyof PrunOptions]?: string } = {
  exec: "in the server's database, and on the list of processes of each node",
  outDS: "in the server's database, in the name of each output",
  outputs: "in the server's database, in the name of each output",
  site: "in the server's database",
  vo: "in the server's database",
  excludeFile: 'in the command line that the task is kept with',
  includeFile: 'in the command line that the task is kept with',
};

/**
 * Looks for values of the user's secrets in a command line, in the forms that a masker knows: it is stored as it is.
 *
 * @throws {Forbidden} naming the secret and the option, never the value; only a warning where the user allows it
 */
export function checkCommandLine(options: PrunOptions, secrets: OwnSecrets, { allow }: { allow: boolean }): void {
  for (const [option, where] of Object.entries(KEPT)) {
    const given = options[option as keyof PrunOptions];
    if (given === undefined) continue;
    // The user's own name stands in front of every name of an output: a secret that holds it is none for the server.
    const text = option === 'outDS' ? String(given).replace(/^user\.[^.]*\./, '') : [given].flat().join('\n');
    const found = findsIn(text, secrets);
    if (found === '') continue;
    const what = `--${option} has the value of your secret ${found}, or a part of it: it would stand ${where}`;
    if (!allow) {
      throw new Forbidden(
        `${what}. With --useSecrets jobs find it as a variable, a file and in panda_secrets.json; to submit it all the same ` +
          'add --allowSecretInCommand',
      );
    }
    warn(what.replace('it would stand', 'it will stand'));
  }
}

/** The names of the secrets, empty for none: also of those that a shell puts together, of `"cor"rect-horse`. */
function findsIn(text: string, secrets: OwnSecrets): string {
  const withoutQuotes = text.replace(/["']|\\(?=.)/g, '');
  return shownNames(
    secrets,
    [text, withoutQuotes].flatMap((each) => namesIn(each, secrets.finder)),
  );
}
