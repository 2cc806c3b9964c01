import type { ExpiringSecret } from '../protocol/calls/pilot.ts';
import { shownExpiry } from '../protocol/expiry.ts';
import { SECRETS_FILE, splitWireName } from '../protocol/names.ts';
import { shownText } from '../protocol/text.ts';
import type { JobSecret } from './job-secrets.ts';
import type { LeftOut } from './secret-variables.ts';

export interface Arrivals {
  secrets: readonly JobSecret[];
  /** `json`, `env`, `files`: what the job asked for. */
  forms: readonly string[];
  /** String secrets that are no variables, though the job asked for variables. */
  leftOut: readonly LeftOut[];
  /** File secrets that are no files, though the job asked for files. */
  notWritten: readonly string[];
  /** Names of secrets that took the place of something in the sandbox. */
  replaced: readonly string[];
}

/** The lines on secrets that expire soon. @param told as the server sent them with the job */
export function expiring(told: readonly ExpiringSecret[] | undefined, secrets: readonly JobSecret[]): string[] {
  const names = secrets.map(({ name }) => name).toSorted();
  return (told ?? []).flatMap(({ place, expires }) => {
    const name = names[place];
    // A server may say anything.
    if (name === undefined || Number.isNaN(Date.parse(expires))) return [];
    const end = shownExpiry(new Date(expires).toISOString());
    return [shownText(`${splitWireName(name).name} expires ${end}: no job gets it after that`, MAX_NOTE_CHARS)];
  });
}

const MAX_NOTE_CHARS = 8000;

/** The lines in a job's log on secrets that do not reach it as asked: by name, as the owner has to do something about it. */
export function arrivals({ secrets, forms, leftOut, notWritten, replaced }: Arrivals): string[] {
  const hasJson = forms.includes('json');
  const tooLarge = leftOut.filter(({ why }) => why === 'value').map(({ name }) => name);
  const badNames = leftOut.filter(({ why }) => why === 'name').map(({ name }) => name);
  const unasked = hasJson
    ? []
    : secrets
        .map(({ name }) => splitWireName(name))
        .filter(({ kind }) => !forms.includes(kind === 'file' ? 'files' : 'env'))
        .map(({ name }) => name);
  const instead = hasJson ? `read ${SECRETS_FILE}` : `use --secretsAs with json, for ${SECRETS_FILE}`;
  return [
    note(replaced, 'of the sandbox gave way to the secret of that name'),
    note(tooLarge, `not given as an environment variable, having no room there or a NUL: ${instead}`),
    hasJson ? undefined : note(badNames, `not given as an environment variable, having no name for one: ${instead}`),
    note(
      notWritten,
      `not written as a file, as the name is no plain file name or the pilot's own, or the value is not base64: ${instead}`,
    ),
    note(unasked, `not given in any form that the job asked for (${forms.join(', ')}): ${instead}`),
  ].flatMap((text) => text ?? []);
}

function note(names: readonly string[], what: string): string | undefined {
  return names.length === 0 ? undefined : shownText(`${names.join(', ')}: ${what}`, MAX_NOTE_CHARS);
}
