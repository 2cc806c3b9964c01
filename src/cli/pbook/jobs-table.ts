import type { JobDescription } from '../../protocol/calls/job.ts';
import { explainedReason } from '../../protocol/sealed-refusal.ts';
import { type Column, columns } from '../columns.ts';
import { printable } from '../reporting.ts';
import { styledState } from './state-styles.ts';

/** Of a task of many jobs so many are shown. */
const MOST_ROWS = 50;

const COLUMNS: readonly Column[] = [
  { title: 'Job', align: 'right' },
  { title: 'PandaID', align: 'right' },
  { title: 'Status', align: 'right' },
  { title: 'Attempt', align: 'right' },
  { title: 'Exit', align: 'right' },
  { title: 'Queue' },
  { title: 'Node' },
  { title: 'Reason' },
];

/** Jobs one to a line; of very many those that did not finish go first, and a last line counts the others. */
export async function jobsTable(jobs: readonly JobDescription[]): Promise<string> {
  const numbered = jobs.map((job, place) => ({ serial: place + 1, job }));
  const chosen =
    numbered.length <= MOST_ROWS
      ? numbered
      : numbered.toSorted((a, b) => rank(a.job) - rank(b.job) || a.serial - b.serial).slice(0, MOST_ROWS);
  const rows = chosen.map(({ serial, job }) =>
    [
      serial,
      job.PandaID,
      styledState(printable(String(job.jobStatus)), 'job'),
      `${job.attemptNr ?? 0}/${job.maxAttempt ?? '?'}`,
      job.transExitCode ?? '',
      job.computingSite ?? '',
      job.modificationHost ?? '',
      explainedReason(String(job.pilotErrorDiag ?? '')),
    ].map((cell, column) => (column === STATUS ? String(cell) : printable(String(cell)))),
  );
  const left = jobs.length - chosen.length;
  return (await columns(COLUMNS, rows)) + (left > 0 ? ` and ${left} more, which --json tells of\n` : '');
}

const STATUS = 2;
const ORDER = ['failed', 'closed', 'cancelled', 'running'];

function rank({ jobStatus }: JobDescription): number {
  if (jobStatus === 'finished') return ORDER.length + 1;
  const place = ORDER.indexOf(jobStatus);
  return place < 0 ? ORDER.length : place;
}
