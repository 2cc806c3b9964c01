import { randomInt } from 'node:crypto';
import { InvalidArgument, NotFound } from '../../protocol/errors.ts';
import { splitWireName, type WireName } from '../../protocol/names.ts';
import { checkQueueName } from '../../protocol/trusted-queues.ts';
import type { KeyFolder, OwnKeys } from '../../sealed/own-keys.ts';
import type { Root } from '../../sealed/user-root.ts';
import { columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { ownKeys, passphrases, userKeyFolder } from '../own-keys.ts';
import { EXIT_REFUSED, info, note, printJson, UsageError, warn } from '../reporting.ts';

const TRIES = 3;

const own = () => import('../../sealed/own-secrets.ts');
const roots = () => import('../../sealed/user-root.ts');
const bundles = () => import('../../sealed/key-bundle.ts');
const shownRecords = () => import('./trusted-records.ts');
const prompts = () => import('@inquirer/prompts');

const OUTPUT = { output: process.stderr };

/** The result is for a program to read. */
interface Json {
  json?: boolean;
}

export async function init({ passphrase, yes, json }: { passphrase?: boolean; yes?: boolean } & Json): Promise<void> {
  const folder = await userKeyFolder();
  await folder.key.checkFree();
  if (!yes && !process.stdin.isTTY) {
    throw new UsageError('keys init asks at a terminal; --yes makes a key of its own for a robot');
  }
  if (!yes && !(await isFirstDevice())) {
    note('Bring the key of your first device: there "pbook keys export", here "pbook keys import".');
    process.exitCode = EXIT_REFUSED;
    return;
  }
  const { newRoot, recoveryCodeOf } = await roots();
  const root = newRoot();
  const chosen = passphrase ? await newPassphrase() : undefined;
  const code = recoveryCodeOf(root);
  if (yes) {
    await folder.key.create(root, chosen);
    if (json) return printJson({ key: folder.key.path, recovery_code: code });
    process.stdout.write(`${code}\n`);
    return note(`the key is in ${folder.key.path}; the code above is the key for everybody who has it`);
  }
  process.stderr.write(`\nYour recovery code, which is shown once:\n\n    ${code}\n\n`);
  note(
    'Write it down and keep it where nobody else looks. It brings your key back when this device is lost, and it is',
  );
  note('the key: whoever has it can open your secrets. No web page, no server and no person ever asks for it.');
  await askBack(code.split('-'));
  await folder.key.create(root, chosen);
  if (json) return printJson({ key: folder.key.path });
  info(`your key is in ${folder.key.path}; "pbook set_secret" seals from now on`);
  note('Next: pbook keys trust QUEUE=SITE-ID, with the ID from the page of the site where your jobs run.');
}

async function isFirstDevice(): Promise<boolean> {
  const { confirm } = await prompts();
  const message = 'Is this the first device on which you seal secrets? (Another one has your key already: n)';
  return await confirm({ message, default: true }, OUTPUT);
}

/** One group of the code, so that it was really written down. @throws {InvalidArgument} when it was not */
async function askBack(groups: readonly string[]): Promise<void> {
  const { input } = await prompts();
  const place = randomInt(groups.length);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const typed = await input({ message: `Type group ${place + 1} of the code as you wrote it down:` }, OUTPUT);
    if (typed.trim().toUpperCase() === groups[place]) return;
    note('That is another one.');
  }
  throw new InvalidArgument('the code was not typed back, and no key was made: run "pbook keys init" again');
}

async function newPassphrase(): Promise<string> {
  if (!process.stdin.isTTY) throw new UsageError('a passphrase is asked for at a terminal alone');
  const { password } = await prompts();
  const first = await password({ message: 'New passphrase (not shown):' }, OUTPUT);
  if (first === '') throw new InvalidArgument('an empty passphrase is none: leave --passphrase out');
  const second = await password({ message: 'The same again:' }, OUTPUT);
  if (first !== second) throw new InvalidArgument('the two differ: nothing was made');
  return first;
}

export async function show({ json }: Json): Promise<void> {
  const folder = await userKeyFolder();
  const keys = await neededKeys();
  const { sitesOf } = await shownRecords();
  const sites = await sitesOf(keys);
  const sealed = (await keys.marks.list()).filter(({ deleted }) => !deleted).length;
  if (json) return printJson({ key: folder.key.path, signer: keys.keys.signer.publicKey, sealed, sites });
  process.stdout.write(`key ${folder.key.path}, which signs as ${keys.keys.signer.publicKey}\n`);
  process.stdout.write(`${sealed} ${sealed === 1 ? 'secret' : 'secrets'} sealed\n`);
  if (sites.length === 0) return note('no site is trusted: pbook keys trust QUEUE=SITE-ID');
  const rows = sites.map(({ queue, until, id }) => [queue, until, id]);
  process.stdout.write(await columns(['QUEUE', 'RECORD UNTIL', 'SITE ID'], rows));
  for (const { warning } of sites) if (warning) warn(warning);
}

export async function exportKey(file: string | undefined, { json }: Json): Promise<void> {
  const folder = await userKeyFolder();
  const root = await neededRoot(folder);
  if (file === undefined) {
    const { recoveryCodeOf } = await roots();
    if (json) return printJson({ recovery_code: recoveryCodeOf(root) });
    if (process.stdout.isTTY) note('This code is your key for everybody who has it. No web page ever asks for it.');
    process.stdout.write(`${recoveryCodeOf(root)}\n`);
    return;
  }
  const { writeBundle } = await bundles();
  await writeBundle(file, folder, root, await newPassphrase());
  if (json) return printJson({ file });
  info(`written to ${file}: bring it to the other device, run "pbook keys import" there, and delete it`);
}

export async function importKey(
  file: string | undefined,
  { passphrase, json }: { passphrase?: boolean } & Json,
): Promise<void> {
  const folder = await userKeyFolder();
  await folder.key.checkFree();
  if (file !== undefined) {
    const { readBundle } = await bundles();
    await readBundle(file, folder, passphrases.ask, passphrase ? newPassphrase : undefined);
    if (json) return printJson({ key: folder.key.path });
    return info(`your key is in ${folder.key.path}, with the sites that you trust and what you sealed`);
  }
  const { rootOfRecoveryCode } = await roots();
  const root = rootOfRecoveryCode(await recoveryCode());
  await folder.key.create(root, passphrase ? await newPassphrase() : undefined);
  if (json) return printJson({ key: folder.key.path });
  info(`your key is in ${folder.key.path}; trust your sites here too (pbook keys trust)`);
  note(
    'This device does not know what you sealed on others: until you set a secret here, an older value of it could be shown.',
  );
}

async function recoveryCode(): Promise<string> {
  if (process.stdin.isTTY) {
    const { password } = await prompts();
    return await password({ message: 'Recovery code (not shown):', mask: true }, OUTPUT);
  }
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 1000) break;
  }
  return text;
}

export async function trust(word: string, { json }: Json): Promise<void> {
  const [queue = '', typed, ...more] = word.split('=');
  if (typed === undefined || more.length > 0) throw new UsageError('keys trust takes QUEUE=SITE-ID');
  checkQueueName(queue);
  const { parseSiteId } = await import('../../sealed/site-id.ts');
  const id = parseSiteId(typed);
  const keys = await neededKeys();
  const record = await withConnection(({ client }) => client.getSiteRecord(queue));
  if (record === null) throw new NotFound(`the server shows no record of the site of queue ${queue}: ask who runs it`);
  const { end } = await keys.sites.trust(queue, id, record, nowSeconds());
  const until = (await shownRecords()).day(end);
  const before = namesOf(
    (await keys.marks.list()).filter(({ deleted, queues }) => !deleted && (queues?.includes(queue) ?? true)),
  );
  if (json) return printJson({ queue, id, until, sealed_before: before });
  info(`the site of ${queue} is trusted; its record lasts until ${until}`);
  if (before.length > 0) note(`"pbook keys reseal" lets it open what you sealed before (${before.join(', ')})`);
}

export async function untrust(queue: string, { json }: Json): Promise<void> {
  const keys = await neededKeys();
  const removed = await keys.sites.untrust(queue);
  if (!removed) throw new NotFound(`no site is trusted for queue ${queue}; "pbook keys show" lists them`);
  const isTrusted = (await keys.sites.list()).some(({ id }) => id === removed.id);
  const known = isTrusted ? [] : namesOf((await keys.marks.list()).filter(({ sites }) => sites.includes(removed.id)));
  if (json) return printJson({ queue, id: removed.id, still_trusted: isTrusted, change_values_of: known });
  info(`nothing more is sealed for the site of ${queue}`);
  if (isTrusted) return note('the same site is still trusted for another queue');
  if (known.length === 0) return;
  warn(
    `that site can open what it was given: change the values of ${known.join(', ')}, at whom they are for, and set them anew`,
  );
}

export async function reseal({ json }: Json): Promise<void> {
  const keys = await neededKeys();
  const { resealSecret } = await own();
  const outcomes = await withConnection(async ({ client }) => {
    const done: { name: string; queues?: string[]; error?: string }[] = [];
    // One at a time: the one before stays until the new one was read back.
    for (const mark of (await keys.marks.list()).filter(({ deleted }) => !deleted)) {
      const { name } = splitWireName(mark.name as WireName);
      try {
        const queues = await resealSecret(client, keys, mark, nowSeconds());
        done.push({ name, ...(queues && { queues }) });
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error)) throw error;
        done.push({ name, error: error.message });
      }
    }
    return done;
  });
  if (outcomes.some(({ error }) => error !== undefined)) process.exitCode = EXIT_REFUSED;
  if (json) return printJson(outcomes);
  if (outcomes.length === 0) return info('no secret was sealed on this device');
  for (const { name, queues, error } of outcomes) {
    if (error !== undefined) warn(`${name} stays as it was: ${error}`);
    else if (queues) info(`${name} is sealed for ${queues.join(', ') || 'you alone'}`);
    else info(`${name} needs nothing`);
  }
}

async function neededKeys(): Promise<OwnKeys> {
  const keys = await ownKeys();
  if (keys) return keys;
  throw noKey();
}

async function neededRoot(folder: KeyFolder): Promise<Root> {
  const root = await folder.key.read(passphrases.ask);
  if (root) return root;
  throw noKey();
}

function noKey(): NotFound {
  return new NotFound(
    'this device has no key: "pbook keys init" makes one, "pbook keys import" brings it from another device',
  );
}

function namesOf(marks: readonly { name: string }[]): string[] {
  return marks.map(({ name }) => splitWireName(name as WireName).name);
}

function nowSeconds(): number {
  return Date.now() / 1000;
}
