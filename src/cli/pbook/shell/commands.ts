import type { TaskResult } from '../tasks.ts';

type Given = Record<string, unknown>;

/** Prints as on the command line, and answers what a program needs of it. */
type Command = (given: Given) => Promise<unknown>;

// As in `program.ts`, what a command needs is loaded when it runs.
const secrets = () => import('../secrets.ts');
const records = () => import('../secret-records.ts');
const results = () => import('../results.ts');
const logins = () => import('../login.ts');
const tasks = () => import('../tasks.ts');

/** The functions of `python/pbook/__init__.py` end here, in the same implementations as the commands of the command line. */
export const COMMANDS: Record<string, Command> = {
  async set_secret({ key, value, path, sealed, ...typed }) {
    const { keepSecret } = await secrets();
    const { typedAttributes } = await import('../../../protocol/secret-attributes.ts');
    const content = path === undefined ? { value: String(value) } : { path: String(path) };
    const choice = { sealed: sealed === true, plain: sealed === false };
    return await keepSecret(String(key), content, typedAttributes(typed, Date.now()), choice);
  },
  get_secret: async ({ key }) => await (await secrets()).findSecret(String(key)),
  list_secrets: async ({ full, names, unused }) =>
    await (await import('../list-secrets.ts')).listSecrets([], {
      full: full === true,
      hidden: names === true,
      ...(unused !== undefined && { unused: String(unused) }),
    }),
  delete_secret: async ({ key, id }) =>
    await (await secrets()).deleteSecret([id === undefined ? String(key) : `id=${id}`], {}),
  // As in PanDA's pbook, who types it at the prompt is not asked again.
  delete_all_secrets: async () => await (await secrets()).deleteAllSecrets({ yes: true }),
  masking: async ({ key }) => await (await import('../masking.ts')).masking([String(key)], {}),
  secret_history: async ({ key, limit }) =>
    await (await records()).secretHistory([...(key === undefined ? [] : [String(key)]), `limit=${limit}`], {}),
  secret_versions: async ({ key }) => await (await records()).secretVersions([String(key)], {}),
  restore_secret: async ({ key, version }) => await (await records()).restoreSecret([String(key), String(version)], {}),
  run: async ({ words, secrets: names, forms, links }) => {
    const { parseSecretForms } = await import('../../../protocol/secret-forms.ts');
    return await (await import('../run.ts')).runFromPython(words as string[], {
      ...(names !== undefined && { secrets: names as string[] }),
      ...(forms !== undefined && { secretsAs: parseSecretForms(forms as string[], 'secretsAs') }),
      noLinks: links === false,
    });
  },
  show: async ({ words }) => await (await import('../show.ts')).show(words as string[], {}),
  kill: async ({ ids }) => told(await (await tasks()).kill(wordsOf(ids))),
  finish: async ({ ids, soft }) => told(await (await tasks()).finish(wordsOf(ids), { soft: soft === true })),
  retry: async ({ ids }) => told(await (await tasks()).retry(wordsOf(ids))),
  logs: async ({ id, follow }) => await (await results()).logs(String(id), { follow: follow === true }),
  get_outputs: async ({ id, dir, force }) =>
    await (await results()).getOutputs(String(id), { dir: String(dir), force: force === true }),
  // Ctrl-C ends this process, which could not take a spinner away then.
  login: async ({ browser }) => await (await logins()).login({ browser: browser === true, spinner: false }),
  logout: async () => await (await logins()).logout(),
  quota: async () => await (await import('../quota.ts')).quota({}),
  whoami: async () => await (await logins()).whoAmI({}),
  secret_names: async () => await (await import('../completion.ts')).secretNames(),
};

/** PanDA's functions answer truth values. */
function told(results: readonly TaskResult[]): boolean[] {
  return results.map(({ success }) => success);
}

function wordsOf(ids: unknown): string[] {
  return (ids as number[]).map(String);
}
