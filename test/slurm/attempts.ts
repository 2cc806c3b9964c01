import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** An attempt as the server keeps it, with the batch job of its pilot. */
export interface KeptAttempt {
  task_id: number;
  job_id: number;
  attempt: number;
  state: string;
  /** The state of its job. */
  job_state: string;
  ended_at: number | null;
  diagnosis: string;
  batch_id: string | null;
}

/** All attempts at a server's SQLite database. */
export function readAttempts(data: string): KeptAttempt[] {
  const database = new DatabaseSync(join(data, 'panda.db'), { readOnly: true });
  try {
    return database
      .prepare(
        `select jobs.task_id, job_id, attempts.attempt, attempts.state, jobs.state as job_state, attempts.ended_at, diagnosis, batch_id
         from attempts join jobs on jobs.id = attempts.job_id left join pilots on pilots.id = attempts.pilot_id
         order by job_id, attempts.attempt`,
      )
      .all() as unknown as KeptAttempt[];
  } finally {
    database.close();
  }
}
