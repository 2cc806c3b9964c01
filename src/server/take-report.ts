import { type Caller, callerId } from '../identity/caller.ts';
import type { JobReport, Jobs } from '../jobs/jobs.ts';
import { Conflict } from '../protocol/errors.ts';
import { MAX_DIAGNOSIS_CHARS, MAX_SHOWN_CHARS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';

/**
 * Takes a pilot's report, and tells it what to do. One that lost the attempt and still runs it is told to stop, with the reason:
 * of the two ways to say so, pilots heed this one.
 *
 * @throws {Conflict} at a final report of a lost attempt; what {@link Jobs.report} throws otherwise
 */
export async function takeReport(
  jobs: Jobs,
  caller: Caller,
  report: JobReport,
): Promise<{ command: 'NULL' | 'tobekilled'; reason?: string }> {
  const { node, diagnosis } = report;
  try {
    return await jobs.report(callerId(caller), {
      ...report,
      node: node && shownText(node, MAX_SHOWN_CHARS),
      diagnosis: diagnosis && shownText(diagnosis, MAX_DIAGNOSIS_CHARS),
    });
  } catch (error) {
    if (!(error instanceof Conflict) || report.state === 'finished' || report.state === 'failed') throw error;
    return { command: 'tobekilled', reason: error.message };
  }
}
