import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openKeyFile } from '../../src/sealing/key-file.ts';
import { eachStore } from '../stores.ts';
import { newOwner } from '../vault/vaults.ts';
import { openGrowthSite, rowCounts } from './growth.ts';

const KEEP = { tasks: 6, files: 3, sandboxes: 3, deliveries: 6, audit: 6 };
const PER_DAY = 4;

/** More would take long. `npm run bench:days` does it for as long as one likes. */
eachStore(
  'what jobs leave behind is bounded by what is kept, and what is freed is freed on the disk',
  async (_t, database) => {
    const store = await database.open();
    const rootKeys = await openKeyFile(join(database.folder, 'root-keys'), { create: true });
    const owners = [await newOwner(store), await newOwner(store)];
    const site = await openGrowthSite({ store, rootKeys, folder: database.folder, keep: KEEP }, owners);
    const days = async (count: number) => {
      for (let day = 0; day < count; day++) await site.day(PER_DAY);
    };
    await days(8);
    const [rows, sizes] = [await rowCounts(store), await site.sizes()];
    assert.deepEqual(
      [rows['tasks'], rows['jobs'], rows['job_files'], rows['deliveries']],
      [2 * 6, 6 * PER_DAY, 3 * PER_DAY, 6 * PER_DAY],
    );
    assert.equal(sizes.fileCount, 3 * (PER_DAY + 2));
    await days(3);
    const later = await rowCounts(store);
    assert.deepEqual({ ...later, audit: 0 }, { ...rows, audit: 0 });
    assert.equal((await site.sizes()).fileCount, sizes.fileCount);
    // The audit is cut once a month.
    await site.day(0, 50);
    const left = await rowCounts(store);
    assert.deepEqual([left['jobs'], left['job_files'], left['sandboxes'], left['deliveries']], [0, 0, 0, 0]);
    assert.equal((await site.sizes()).files, 0);
    assert.ok((left['audit'] ?? 0) < 10, `${left['audit']} entries of the audit`);
    site.close();
  },
);
