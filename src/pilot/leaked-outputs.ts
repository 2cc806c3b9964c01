import type { JobSecret } from '../payload/job-secrets.ts';
import type { LeakedOutputs } from '../protocol/leaked-outputs.ts';
import { LEAK_SEARCH_SECONDS, MAX_SEARCHED_BYTES } from '../protocol/limits.ts';
import type { Output } from './outputs.ts';

/** The result of a search for secrets in the outputs of a job. */
export interface LeakSearch {
  /** The outputs that may be uploaded. */
  outputs: Output[];
  /** For the log; numbers and names of outputs, never of secrets. */
  notes: string[];
  /** The same in one line for the job's owner, where outputs hold secrets; the reason of the failure where that is to be one. */
  finding: string | undefined;
}

/**
 * Looks for a job's secrets in its outputs, in the forms and parts that the log masker knows, also in archives. The search is bounded in
 * time and size; an output that is not searched to its end counts as one that holds secrets where such are held back or fail the job.
 */
export async function searchOutputs(
  outputs: readonly Output[],
  secrets: readonly JobSecret[],
  action: LeakedOutputs,
  stop: AbortSignal,
): Promise<LeakSearch> {
  if (outputs.length === 0 || secrets.length === 0) return { outputs: [...outputs], notes: [], finding: undefined };
  const [{ createFinder }, { searchFile }] = await Promise.all([
    import('../masking/finder.ts'),
    import('../masking/archive-search.ts'),
  ]);
  const finder = createFinder(secrets);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(LEAK_SEARCH_SECONDS * 1000)]);
  const budget = { bytes: MAX_SEARCHED_BYTES, signal };
  const result: LeakSearch = { outputs: [], notes: [], finding: undefined };
  const findings: string[] = [];
  for (const output of outputs) {
    const { names, isCut, isClosed } = await searchFile(output.path, finder, budget);
    const isLeaking = names.size > 0;
    const isHeld = (isLeaking || isCut) && action !== 'warn';
    if (!isHeld) result.outputs.push(output);
    if (isLeaking) {
      const count = names.size === 1 ? "one of the job's secrets" : `${names.size} of the job's secrets`;
      findings.push(
        `the output "${output.local}" holds ${count}${isHeld && action === 'hold' ? ' and is held back' : ''}`,
      );
    } else if (isCut) {
      const what = `the output "${output.local}" is too large to be searched for secrets`;
      if (isHeld) findings.push(`${what}${action === 'hold' ? ' and is held back' : ''}`);
      else result.notes.push(`${what} to its end`);
    } else if (isClosed) {
      result.notes.push(`the output "${output.local}" has parts that cannot be searched for secrets`);
    }
  }
  stop.throwIfAborted();
  result.notes.unshift(...findings);
  if (findings.length > 0) result.finding = findings.join('; ');
  return result;
}
