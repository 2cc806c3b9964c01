import { readFile } from 'node:fs/promises';
import { InvalidArgument } from '../../protocol/errors.ts';
import { MAX_SIGNED_CHARS } from '../../protocol/limits.ts';
import type { SiteId } from '../../sealed/site-id.ts';
import { checkSiteRecord, readSiteRecord } from '../../sealed/site-record.ts';

/**
 * Reads a site's record that is to be published, so that nobody finds out later that it is none.
 *
 * @param given its text, or the path of a file that has it
 * @throws {InvalidArgument} when there is no such file @throws {SealedRefusal} when it is no record of the queue's, or has ended
 */
export async function publishedRecord(
  queue: string,
  given: string,
): Promise<{ record: string; site: SiteId; until: string }> {
  const record = (given.includes('.') && given.length > 255 ? given : await readRecord(given)).trim();
  const { identity } = readSiteRecord(record);
  const { end } = checkSiteRecord(record, { queue, id: identity }, Date.now() / 1000);
  return { record, site: identity, until: new Date(end * 1000).toISOString().slice(0, 10) };
}

async function readRecord(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new InvalidArgument(`the record ${path} cannot be read (${error.code})`);
  });
  return text.slice(0, MAX_SIGNED_CHARS + 2);
}
