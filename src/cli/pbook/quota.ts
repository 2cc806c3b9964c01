import type { ListedQuota } from '../../protocol/calls/system.ts';
import { columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { printJson } from '../reporting.ts';

/** `pbook quota`: how much of what a user may have is used. */
export async function quota({ json }: { json?: boolean }): Promise<readonly ListedQuota[]> {
  const quotas = await withConnection(({ client }) => client.getQuotas());
  if (json) printJson(quotas);
  else process.stdout.write(await columns([{ title: 'What' }, NUMBER('Used'), NUMBER('Allowed')], quotas.map(rowOf)));
  return quotas;
}

const NUMBER = (title: string) => ({ title, align: 'right' }) as const;

const WORDS: Record<ListedQuota['what'], string> = {
  secrets: 'secrets',
  secret_bytes: 'bytes of their values, as a job gets them all',
  open_jobs: 'jobs of tasks that have not ended',
  file_bytes: 'bytes of sandboxes, logs and outputs',
};

function rowOf({ what, used, allowed, days }: ListedQuota): string[] {
  // A server of a later release may tell of more.
  const words = WORDS[what] ?? what;
  return [days === null ? words : `${words}, within ${days} days`, grouped(used), grouped(allowed)];
}

/** `1 000 000`, which reads the same in every country. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ' ');
}
