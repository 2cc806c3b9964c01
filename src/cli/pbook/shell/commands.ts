import type { CarryOut } from './interpreter.ts';

type Given = Record<string, unknown>;
type Command = (given: Given, options: { signal: AbortSignal }) => Promise<unknown>;

// As in `program.ts`, what a command needs is loaded when it runs.
const secrets = () => import('../secrets.ts');
const maskings = () => import('../masking.ts');
const records = () => import('../secret-records.ts');
const shows = () => import('../show.ts');
const tasks = () => import('../tasks.ts');
const results = () => import('../results.ts');

/** The functions of `python/pbook.py` end here, in the same implementations as the commands of the command line. */
const COMMANDS: Record<string, Command> = {
  async set_secret({ key, value, path, ...typed }, options) {
    const { keepSecret } = await secrets();
    const { typedAttributes } = await import('../../../protocol/secret-attributes.ts');
    const content = path === undefined ? { value: String(value) } : { path: String(path) };
    await keepSecret(String(key), content, typedAttributes(typed), options);
  },
  async masking({ key, json }, options) {
    const { findMasking, masking } = await maskings();
    if (json === true) return await findMasking(String(key), options.signal);
    await masking([String(key)], options);
    return undefined;
  },
  async secret_history({ key, limit, json }, options) {
    const { findDeliveries, secretHistory } = await records();
    if (json === true) return await findDeliveries(wordOf(key), Number(limit), options.signal);
    await secretHistory([...(key === undefined ? [] : [String(key)]), `limit=${limit}`], options);
    return undefined;
  },
  async secret_versions({ key, json }, options) {
    const { findVersions, secretVersions } = await records();
    if (json === true) return await findVersions(String(key), options.signal);
    await secretVersions([String(key)], options);
    return undefined;
  },
  async restore_secret({ key, version }, options) {
    await (await records()).restoreSecret([String(key), String(version)], options);
  },
  async list_secrets({ full }, options) {
    await (await secrets()).listSecrets([], { full: full === true, ...options });
  },
  async delete_secret({ key, id }, options) {
    await (await secrets()).deleteSecret([id === undefined ? String(key) : `id=${id}`], options);
  },
  // As in PanDA's pbook, who types it at the prompt is not asked again.
  async delete_all_secrets(_given, options) {
    await (await secrets()).deleteAllSecrets({ yes: true, ...options });
  },
  async show({ words }, options) {
    const { findTasks, printTasks } = await shows();
    const found = await findTasks(words as string[], options);
    if (found.format === 'json') return found.tasks;
    printTasks(found);
    return undefined;
  },
  async kill({ ids }, options) {
    return await (await tasks()).kill(wordsOf(ids), options);
  },
  async finish({ ids, soft }, options) {
    return await (await tasks()).finish(wordsOf(ids), { soft: soft === true, ...options });
  },
  async retry({ ids }, options) {
    return await (await tasks()).retry(wordsOf(ids), options);
  },
  async logs({ id, follow }, options) {
    await (await results()).logs(String(id), { follow: follow === true, ...options });
  },
  async get_outputs({ id, dir, force }, options) {
    await (await results()).getOutputs(String(id), { dir: String(dir), force: force === true, ...options });
  },
};

/** Carries out a command in Python's folder, and says how it went as on the command line. */
export const carryOutCommand: CarryOut = async (name, given, folder, signal) => {
  try {
    enter(folder);
    const result = await COMMANDS[name]?.(given, { signal });
    return { ok: !(Array.isArray(result) && result.includes(false)), result };
  } catch (error) {
    if (!signal.aborted) (await import('../../reporting.ts')).reportFailure(error, 'pbook');
    return { ok: false };
  }
};

/** The names of the user's secrets, without a mark. @throws as the client does */
export async function secretNames(): Promise<string[]> {
  const { withConnection } = await import('../../command.ts');
  const { splitWireName } = await import('../../../protocol/names.ts');
  const found = await withConnection(({ client }) => client.getSecrets(), AbortSignal.timeout(COMPLETION_MS));
  return [...found.keys()].map((wire) => splitWireName(wire).name).sort();
}

/** The longest that a Tab may take. */
const COMPLETION_MS = 2000;

/** Relative paths mean Python's folder; one that only the interpreter has leaves the process where it is. */
function enter(folder: string): void {
  try {
    if (folder !== process.cwd()) process.chdir(folder);
  } catch {
    // Stays.
  }
}

function wordOf(given: unknown): string | undefined {
  return given === undefined ? undefined : String(given);
}

function wordsOf(ids: unknown): string[] {
  return (ids as number[]).map(String);
}
