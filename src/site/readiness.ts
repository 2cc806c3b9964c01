import { READINESS_FRESH_SECONDS, READINESS_SECONDS, ROOT_KEY_FRESH_SECONDS } from '../protocol/limits.ts';
import { findInstallationKey } from '../store/installation-keys.ts';
import { hasOwnTables } from '../store/store.ts';
import type { Installation } from './installation.ts';
import { isKeyOf } from './installation-key.ts';

/** Why a server should get no requests now. */
export type NotReady = 'starting' | 'draining' | 'database' | 'schema' | 'root key';

/** Tells whether a server can do its work now. */
export interface Readiness {
  /**
   * Why it is not ready, undefined when it is; as of at most `READINESS_FRESH_SECONDS` ago. It answers within `READINESS_SECONDS`: what
   * takes longer is not ready. However many ask, the database is asked once at a time.
   */
  check(): Promise<NotReady | undefined>;
  /** From now on the server has this to work with. */
  opened(installation: Opened): void;
  /** From now on the server takes no new work. */
  drain(): void;
}

type Opened = Pick<Installation, 'store' | 'key' | 'rootKeys'>;

export function createReadiness(): Readiness {
  let opened: Opened | undefined;
  let isDraining = false;
  let last: { answer: NotReady | undefined; until: number } | undefined;
  let looking: Promise<NotReady | undefined> | undefined;
  /** What a look is about at this moment: it is to blame when the time is over. */
  let about: NotReady = 'database';
  let rootKey: { id: string; opens: boolean; until: number } | undefined;

  async function look({ store, key, rootKeys }: Opened): Promise<NotReady | undefined> {
    about = 'database';
    let found: Awaited<ReturnType<typeof findInstallationKey>>;
    try {
      if (!(await hasOwnTables(store.probes))) return 'schema';
      found = await findInstallationKey(store.probes);
    } catch (error) {
      return MISSING_TABLE.test((error as Error).message) ? 'schema' : 'database';
    }
    if (found?.id !== key.id) return 'schema';
    about = 'root key';
    if (rootKey?.id !== found.root_key_id || rootKey.until < performance.now()) {
      const opens = await isKeyOf(key, rootKeys, found).catch(() => false);
      rootKey = { id: found.root_key_id, opens, until: performance.now() + ROOT_KEY_FRESH_SECONDS * 1000 };
    }
    return rootKey.opens ? undefined : 'root key';
  }

  return {
    async check() {
      if (isDraining) return 'draining';
      if (!opened) return 'starting';
      if (last && last.until > performance.now()) return last.answer;
      looking ??= look(opened).finally(() => {
        looking = undefined;
      });
      const answer = await within(READINESS_SECONDS, looking, () => about);
      last = { answer, until: performance.now() + READINESS_FRESH_SECONDS * 1000 };
      return isDraining ? 'draining' : answer;
    },
    opened(installation) {
      opened = installation;
    },
    drain() {
      isDraining = true;
    },
  };
}

/** Of either database, about the table that names the migrations or the key of the installation. */
const MISSING_TABLE = /no such table|relation ".*" does not exist/;

async function within<T>(seconds: number, work: Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise()), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
