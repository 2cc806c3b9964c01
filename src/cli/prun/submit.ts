import { submitDirectory } from '../../client/submission.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import { withConnection } from '../command.ts';
import { existingKeyFolder, ownKeys } from '../own-keys.ts';
import { Declined, info, printJson, warn } from '../reporting.ts';
import { type OwnSecrets, ownSecrets } from './own-secrets.ts';
import type { PrunOptions } from './program.ts';

/** @param args the command line, for the task's record */
export async function submit(options: PrunOptions, args: readonly string[]): Promise<void> {
  const {
    exec,
    outDS,
    outputs = [],
    nJobs,
    useSecrets,
    site,
    maxAttempt,
    maxWalltime,
    memory,
    excludeFile = [],
    includeFile = [],
    json = false,
  } = options;
  const ask = !options.yes && process.stdin.isTTY && process.stderr.isTTY;
  const directory = process.cwd();
  const submitted = await withConnection(async (connection) => {
    let secrets: OwnSecrets | undefined;
    const progress = { step: json ? () => {} : info, warning: warn };
    return await submitDirectory(
      { ...connection, vo: options.vo ?? connection.vo },
      {
        exec,
        outDataset: outDS,
        outputs,
        jobs: nJobs,
        useSecrets: useSecrets !== undefined,
        secrets: useSecrets === true ? undefined : useSecrets,
        secretForms: options.secretsAs,
        leakedOutputs: options.leakedOutputs,
        site: site === 'AUTO' ? undefined : site,
        maxAttempts: maxAttempt,
        maxWalltime,
        memory,
        commandLine: commandLine(args),
        directory,
        exclude: excludeFile,
        include: includeFile,
        async prepare() {
          const keys = ownKeys();
          secrets = await ownSecrets(connection.client, keys);
          if (secrets) await checkOptions(options, secrets);
          const folder = await existingKeyFolder();
          const signer =
            folder && (await (await sealedTask()).signerFor(connection.client, folder, await keys, options, progress));
          if (options.sealResults && !signer) {
            throw new InvalidArgument(
              '--sealResults needs a secret that is sealed: what you sign for the task says to whom results are sealed. ' +
                '"pbook set_secret" seals one on a device with a key ("pbook keys init")',
            );
          }
          return signer;
        },
        examine: async (paths) =>
          !secrets || (await (await sandboxCheck()).checkSandbox(secrets, directory, paths, { ask })),
      },
      progress,
    );
  });
  if (!submitted) throw new Declined('nothing was submitted');
  const { taskId, message, sandbox } = submitted;
  if (!json) info(message || `succeeded. new jediTaskID=${taskId}`);
  const { wait, timeout } = options;
  const ended = wait ? await (await import('./wait.ts')).waitForTask(taskId, { json, timeout }) : undefined;
  if (json) {
    const failed = ended !== undefined && ended.status !== 'done';
    const outcome = { success: !failed, message: failed ? `the task is ${ended.status}` : message || 'OK' };
    printJson({ jediTaskID: taskId, sandbox, ...ended }, outcome);
  }
}

/** These are loaded only for a user with secrets, or with a key. */
const sealedTask = () => import('./sealed-task.ts');
const sandboxCheck = () => import('./sandbox-check.ts');

async function checkOptions(options: PrunOptions, secrets: OwnSecrets): Promise<void> {
  const { checkCommandLine } = await import('./command-check.ts');
  checkCommandLine(options, secrets, { allow: options.allowSecretInCommand === true });
}

/** The command line as PanDA's prun records it, without the names of secrets. */
function commandLine(args: readonly string[]): string {
  const words = args
    .map((arg) => (arg.startsWith('--useSecrets=') ? '--useSecrets' : arg))
    .filter((arg, place) => !(args[place - 1] === '--useSecrets' && !arg.startsWith('-')));
  return [
    'prun',
    ...words.map((word) => (/^[\w./:=,%+-]+$/.test(word) ? word : `"${word.replace(/["\\$`]/g, '\\$&')}"`)),
  ].join(' ');
}
