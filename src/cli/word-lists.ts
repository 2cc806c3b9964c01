import { InvalidArgumentError } from 'commander';
import { parseSecretForms, type SecretForm } from '../protocol/secret-forms.ts';

/** The value of an option with commas between its items; `before`: what the same option had earlier on the command line. */
export function list(text: string, before: string[] | true = []): string[] {
  const items = text.split(',').map((item) => item.trim());
  return [...(before === true ? [] : before), ...items.filter((item) => item !== '')];
}

/** The value of `--secretsAs`. */
export function forms(text: string): SecretForm[] {
  try {
    return parseSecretForms(list(text), '--secretsAs');
  } catch (error) {
    // Commander has named the option by then.
    throw new InvalidArgumentError(`It ${(error as Error).message.replace(/^--secretsAs: /, '')}.`);
  }
}
