import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import type { Load } from './driver.ts';
import { type Site, secretName } from './site.ts';

/** A request; bodies are ASCII. */
export interface Request {
  path: string;
  token: string;
  /** Without it a GET. */
  body?: string;
}

/** What the servers are asked. Each connection is a user of its own. */
export interface Loads {
  set: Load;
  get: Load;
  /** A submission and an acquisition in turn. */
  job: Load;
  /** The get of the bare loop: the owner stands in the path, since nobody logs in there. */
  bareGet: Load;
  /** One request of each kind, a submission before an acquisition. */
  samples: Request[];
  /** One get of the bare loop, of the same user. */
  bareSample: Request;
}

const PATHS = {
  set: '/api/v1/creds/set_user_secrets',
  get: '/api/v1/creds/get_user_secrets',
  submit: '/api/v1/task/submit',
  acquire: '/api/v1/pilot/acquire_jobs',
};

/** @param values what is set, one after another */
export async function makeLoads({ users, pilotToken }: Site, values: readonly string[]): Promise<Loads> {
  const { offers } = await newRecipient();
  let tasks = 0;
  const get = (user: User): Request => ({ path: PATHS.get, token: user.token });
  const bareGet = (user: User): Request => ({ path: `/${user.owner}`, token: user.token });
  const sets = ({ token }: User): Request[] =>
    values.map((value, n) => ({ path: PATHS.set, token, body: JSON.stringify({ key: secretName(n), value }) }));
  const submit = ({ token }: User): Request => ({ path: PATHS.submit, token, body: submission(++tasks) });
  const acquire: Request = {
    path: PATHS.acquire,
    token: pilotToken,
    body: JSON.stringify({ site_name: 'default', node: 'node1.example.org', sealing_keys: offers }),
  };

  const each = <T>(make: (user: User) => T) => {
    const made = users.map(make);
    return (connection: number) => made[connection % made.length] as T;
  };
  const setBytes = each((user) => sets(user).map(bytesOf));
  const getBytes = each((user) => bytesOf(get(user)));
  const bareGetBytes = each((user) => bytesOf(bareGet(user)));
  const acquireBytes = bytesOf(acquire);
  const userOf = each((user) => user);
  const first = userOf(0);

  return {
    set: { requestsPerUnit: 1, request: (connection, step) => setBytes(connection)[step % values.length] as string },
    get: { requestsPerUnit: 1, request: getBytes },
    bareGet: { requestsPerUnit: 1, request: bareGetBytes },
    job: {
      requestsPerUnit: 2,
      request: (connection, step) => (step % 2 === 1 ? acquireBytes : bytesOf(submit(userOf(connection)))),
    },
    samples: [get(first), ...sets(first).slice(0, 1), submit(first), acquire],
    bareSample: bareGet(first),
  };
}

type User = Site['users'][number];

/** Makes requests by ordinary means. @returns the body of each answer, by path */
export async function answersTo(port: number, requests: readonly Request[]): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const { path, token, body } of requests) {
    const init = { headers: { authorization: `Bearer ${token}` }, ...(body && { method: 'POST', body }) };
    answers[path] = await (await fetch(`http://127.0.0.1:${port}${path}`, init)).text();
  }
  return answers;
}

function bytesOf({ path, token, body = '' }: Request): string {
  const ofBody = body && `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return (
    `${body ? 'POST' : 'GET'} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n` +
    `Accept: application/json\r\n${ofBody}\r\n${body}`
  );
}

const NUMBER = '@@@@@@@@';
const TASK = JSON.stringify({
  task_parameters: buildTaskParameters(
    {
      exec: 'python3 my_job.py',
      outDataset: `user.bench.${NUMBER}`,
      outputs: ['result.txt'],
      jobs: 1,
      useSecrets: true,
      commandLine: 'prun --exec "python3 my_job.py" --useSecrets --noBuild',
    },
    DEFAULT_VO,
    { origin: 'http://127.0.0.1:25080', fileName: 'jobO.00000000-0000-4000-8000-000000000000.tar.gz' },
  ),
});

/** A task of one job that gets all of its owner's secrets; no two have one name. */
function submission(n: number): string {
  return TASK.replaceAll(NUMBER, String(n).padStart(NUMBER.length, '0'));
}
