import { type PilotSession, prepareJoin } from '../client/pilot-session.ts';
import type { JoinToken } from '../protocol/join.ts';
import { untilAnswered } from './retry.ts';

export interface JoinOptions {
  token: JoinToken;
  queue: string;
  node: string;
  /** The longest wait for a server that does not answer; without end when left out. */
  forSeconds?: number | undefined;
  stopping: AbortSignal;
  say: (text: string) => void;
}

/**
 * Joins a server, and waits for one that does not answer.
 *
 * @returns nothing when told to stop meanwhile
 * @throws {Refused} {Unauthenticated} as `prepareJoin` says
 */
export async function joinServer(
  connection: Parameters<typeof prepareJoin>[0],
  { token, queue, node, forSeconds = Number.POSITIVE_INFINITY, stopping, say }: JoinOptions,
): Promise<PilotSession | undefined> {
  const send = await prepareJoin(connection, { token, queue, node });
  let isToldOf = false;
  try {
    return await untilAnswered(
      async () => {
        stopping.throwIfAborted();
        return send();
      },
      {
        forSeconds,
        stopping,
        onFailure(error) {
          if (!isToldOf) say(`cannot join so far, trying on: ${error.message}`);
          isToldOf = true;
        },
      },
    );
  } catch (error) {
    if (stopping.aborted) return undefined;
    throw error;
  }
}
