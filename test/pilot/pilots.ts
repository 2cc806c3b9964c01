import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { chooseIsolation, type IsolationOptions } from '../../src/pilot/isolation.ts';
import { type PilotOptions, runPilot } from '../../src/pilot/loop.ts';
import { AttemptFailed } from '../../src/protocol/errors.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { temporaryFolder } from './folders.ts';
import { type PandaServer, startPanda } from './panda.ts';
import { stubToken } from './stub-session.ts';

/** A test's own choices, of any group. */
type Wishes = Partial<PilotOptions['node'] & PilotOptions['policy']> &
  Pick<PilotOptions, 'allocation'> &
  Partial<Pick<IsolationOptions, 'mode' | 'shared' | 'hidden'>>;

export interface TestPilot {
  panda: PandaServer;
  /** Both are of this test alone. */
  folder: string;
  secretsFolder: string;
  /** The lines that it told the operator. */
  said: string[];
  stopping: AbortController;
  run(wishes?: Wishes): Promise<number>;
  /** The only log that came, unpacked. */
  log(): string;
}

/** A pilot in this process, with real payloads, a real socket and a server that the test leads. */
export async function pilotFor(t: TestContext): Promise<TestPilot> {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  t.after(async () => {
    stopping.abort(new AttemptFailed(1201, 'the test is over'));
    await Promise.allSettled(running);
  });
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  const secretsFolder = await temporaryFolder(t);
  const connection = { url: panda.url, vo: 'panda:pilot' };
  const join = await prepareJoin(connection, { token: parseJoinToken(stubToken()), queue: 'default', node: 'node1' });
  const session = await join();
  const client = createClient({ ...connection, signer: session });
  t.after(() => client.close());
  const said: string[] = [];
  return {
    panda,
    folder,
    secretsFolder,
    said,
    stopping,
    run({ mode = 'off', shared = [], hidden = [], allocation, ...wishes } = {}) {
      const environment = wishes.environment ?? { PATH: process.env['PATH'] };
      const say = (text: string) => said.push(text);
      const hides = [folder, secretsFolder, ...hidden];
      const isolating = chooseIsolation({ mode, allowRoot: true, shared, hidden: hides, own: environment, say });
      const run = isolating.then((isolation) =>
        runPilot({
          server: client,
          pilotId: session.pilotId,
          node: {
            name: 'node1',
            queue: 'default',
            folder,
            secretsFolder,
            isolation,
            environment,
            ...wishes,
          },
          policy: {
            jobs: 1,
            slots: 1,
            heartbeatSeconds: 0.1,
            killGraceSeconds: 0.3,
            passOn: [],
            killPollSeconds: 60,
            limits: {},
            ...wishes,
          },
          ...(allocation && { allocation }),
          stopping: stopping.signal,
          say,
        }),
      );
      running.add(run);
      return run;
    },
    log() {
      const [packed] = [...panda.uploads].filter(([key]) => key.startsWith('log/')).map(([, content]) => content);
      if (!packed) throw new Error('no log was uploaded');
      const tar = gunzipSync(packed);
      // One file: its content follows its header (octal size at 124).
      return tar.subarray(512, 512 + Number.parseInt(tar.toString('latin1', 124, 136), 8)).toString();
    },
  };
}
