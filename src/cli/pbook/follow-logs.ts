import { followLogs } from '../../client/follow-logs.ts';
import { withConnection } from '../command.ts';
import { EXIT_INTERRUPTED, note, styled, warn } from '../reporting.ts';
import { ownResults } from './own-results.ts';

/** `logs --follow TASKID`: what the jobs print, as it comes, until the task has ended or Ctrl-C. */
export async function follow(taskId: number): Promise<void> {
  await withConnection(async ({ client }) => {
    const lines = new Map<number, LineStart>();
    const results = await ownResults(client, taskId);
    const interruption = new AbortController();
    const interrupt = () => interruption.abort();
    process.once('SIGINT', interrupt);
    try {
      const pieces = followLogs(results.client, taskId, {
        signal: interruption.signal,
        onTrouble: (error) => warn(`${error.message}; trying on`),
      });
      for await (const { serial, jobs, bytes } of pieces) {
        if (jobs === 1) process.stdout.write(bytes);
        else writeLines(serial, jobs, bytes, lines);
      }
    } catch (error) {
      if (!interruption.signal.aborted) throw error;
    } finally {
      process.off('SIGINT', interrupt);
      for (const [serial, { held }] of lines) if (held.length > 0) writeLines(serial, 2, Buffer.from('\n'), lines);
      await results.close();
    }
    if (interruption.signal.aborted) {
      process.exitCode = EXIT_INTERRUPTED;
      return;
    }
    await results.tellMissing('log');
    note(`task ${taskId} is ${await client.getTaskStatus(taskId)}`);
  });
}

/** A line that has begun. */
interface LineStart {
  held: Buffer;
}

const LINE_END = 0x0a;

/** Lines of one of several jobs, whole, with the job's number before each. */
function writeLines(serial: number, jobs: number, bytes: Uint8Array, lines: Map<number, LineStart>): void {
  const text = Buffer.concat([lines.get(serial)?.held ?? Buffer.alloc(0), bytes]);
  const end = text.lastIndexOf(LINE_END) + 1;
  lines.set(serial, { held: text.subarray(end) });
  const prefix = styled('cyan', `${String(serial).padStart(String(jobs).length)} | `, process.stdout);
  for (let from = 0; from < end; ) {
    const next = text.indexOf(LINE_END, from) + 1;
    process.stdout.write(prefix);
    process.stdout.write(text.subarray(from, next));
    from = next;
  }
}
