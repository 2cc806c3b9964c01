import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createJoinToken } from '../../src/identity/join-tokens.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { QUEUE, type Site } from './site.ts';

/** Data folders in `folder` for so many servers on a site's PostgreSQL, each with its part of the users and a join token of its own. */
export async function replicaSites(site: Site, folder: string, count: number): Promise<Site[]> {
  const sites: Site[] = [];
  for (let n = 0; n < count; n++) {
    const users = site.users.filter((_, index) => index % count === n);
    if (n === 0) {
      sites.push({ ...site, users });
      continue;
    }
    const data = join(folder, `data-${n}`);
    mkdirSync(data, { mode: 0o700 });
    copyFileSync(site.rootKeyFile, join(data, 'root-keys'));
    const clock = Date.now;
    const { store, rootKeys, close } = await openInstallation(
      { data, database: site.database },
      { create: true, clock },
    );
    const token = await createJoinToken({ store, rootKeys, clock }, { queue: QUEUE, ttlSeconds: 24 * 3600 });
    await close();
    sites.push({ ...site, data, users, joinToken: parseJoinToken(token) });
  }
  return sites;
}
