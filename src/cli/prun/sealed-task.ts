import type { Client } from '../../client/client.ts';
import { expiryWarnings } from '../../client/expiry-warnings.ts';
import type { Progress, TaskSigner } from '../../client/submission.ts';
import type { ListedSecret } from '../../protocol/calls/creds.ts';
import { Conflict, InvalidArgument } from '../../protocol/errors.ts';
import { splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import { checkTrusted } from '../../protocol/trusted-queues.ts';
import { readGrant } from '../../sealed/grant.ts';
import type { Mark } from '../../sealed/marks.ts';
import type { KeyFolder, OwnKeys } from '../../sealed/own-keys.ts';
import { currentSites, resealSecret } from '../../sealed/own-secrets.ts';
import { grantFor } from '../../sealed/task-grant.ts';
import type { PrunOptions } from './program.ts';

/**
 * Finds which secrets of a task are sealed, by what this device knows of them, and makes them ready for its site: sealed anew where the
 * site has new keys.
 *
 * @returns nothing for a task without sealed secrets
 * @throws {InvalidArgument} when only some of those that it names are sealed, or it names no queue @throws {Conflict} for a name
 * that was sealed here and is no more, under which the server can have anything; and without names, where the key is gone
 */
export async function signerFor(
  client: Client,
  folder: KeyFolder,
  own: OwnKeys | undefined,
  { useSecrets, site, sealResults = false }: Pick<PrunOptions, 'useSecrets' | 'site' | 'sealResults'>,
  progress: Progress,
): Promise<TaskSigner | undefined> {
  if (useSecrets === undefined) return undefined;
  const known = ((await own?.marks.list()) ?? []).filter(({ deleted, taken }) => !deleted && taken > 0);
  const marks = useSecrets === true ? known : chosen(known, useSecrets);
  if (!own || marks.length === 0) {
    for (const name of useSecrets === true ? [] : useSecrets) await checkPlain(folder, name);
    if (useSecrets === true && !own && (await folder.isInUse())) {
      throw new Conflict(
        'secrets are sealed on this device, and its key is gone: "pbook keys import" brings it back; or name the plain ones that the ' +
          'jobs are to get: --useSecrets=NAME',
      );
    }
    return undefined;
  }
  if (site === undefined || site === 'AUTO') {
    throw new InvalidArgument(
      `${shown(marks)}: sealed secrets go to sites that you trust alone. Name the queue of one with --site QUEUE`,
    );
  }
  checkTrusted(
    marks.map(({ name, queues }) => ({ name: name as WireName, queues })),
    site,
  );
  const now = () => Date.now() / 1000;
  const [record] = await currentSites(client, own, [site], now());
  for (const mark of marks) {
    const queues = await resealSecret(client, own, mark, now());
    if (queues) progress.step(`${shown([mark])} is sealed anew for ${queues.join(', ')}`);
  }
  const listed = await client.listSecrets();
  if (useSecrets === true) tellOthers(listed, known, progress);
  const ending = expiryWarnings(
    listed.filter(({ name }) => marks.some((mark) => shown([mark]) === name)),
    Date.now(),
  );
  for (const text of ending) progress.warning(text);
  progress.step(`the jobs get ${shown(marks)}, sealed for ${site}`);
  if (sealResults) progress.step('outputs and logs are sealed to you');
  const names = marks.map(({ name }) => name as WireName);
  const sites = record ? [record.identity] : [];
  return {
    names,
    sign: (task) =>
      grantFor(own, { ...task, names, sites, sealResults }, now(), crypto.getRandomValues(new Uint8Array(16))),
    keep: (grant) => own.tasks.begin(readGrant(grant), now()),
  };
}

function chosen(known: readonly Mark[], names: readonly string[]): Mark[] {
  const marks = known.filter((mark) => names.includes(shown([mark])));
  const plain = names.filter((name) => !marks.some((mark) => shown([mark]) === name));
  if (marks.length > 0 && plain.length > 0) {
    throw new InvalidArgument(
      `${shown(marks)}: sealed, and ${plain.join(', ')} is not: a task has sealed secrets or plain ones, never both. ` +
        `"pbook set_secret ${plain[0]}" seals a value; or submit a task for each`,
    );
  }
  return marks;
}

async function checkPlain(folder: KeyFolder, name: string): Promise<void> {
  if (!(await folder.wasEverSealed(wireName(name)))) return;
  throw new Conflict(
    `${name} was sealed on this device, and there is no sealed value of it now, or no key ("pbook keys import" brings it): ` +
      'no plain one can take its place',
  );
}

/** Without names, a task gets what is sealed: the others are said. */
function tellOthers(listed: readonly ListedSecret[], known: readonly Mark[], { warning }: Progress): void {
  const others = listed.filter(({ name }) => !known.some((mark) => shown([mark]) === name));
  if (others.length === 0) return;
  const names = others.map(({ name }) => name).join(', ');
  warning(
    `${names}: not sealed, and left out, since a task has sealed secrets or plain ones: ` +
      `"pbook set_secret ${others[0]?.name}" seals a value; --useSecrets=${others[0]?.name} gives what is plain`,
  );
}

function shown(marks: readonly Mark[]): string {
  return marks.map(({ name }) => splitWireName(name as WireName).name).join(', ');
}
