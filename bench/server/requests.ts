import { prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { succeeded } from '../../src/protocol/envelope.ts';
import type { JoinToken } from '../../src/protocol/join.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { digestOf } from '../../src/protocol/request-proof.ts';
import { byName, secretsText } from '../../src/protocol/secrets-text.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import type { Load } from './driver.ts';
import { QUEUE, type Site, secretName } from './site.ts';

/** A request; bodies are ASCII. */
export interface Request {
  /** GET unless given, and POST with a body. */
  method?: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** The requests to the servers. Each connection is a user of its own; the pilot is one. */
export interface Loads {
  set: Load;
  get: Load;
  /** A get of the first ten secrets by their names. */
  getTen: Load;
  /** A submission and an acquisition in turn, with so many jobs waiting that each finds one. */
  job: Load;
  /** Acquisitions of a job each, which were submitted before. */
  acquire: Load;
  /** Acquisitions of 50 jobs each. */
  acquireMany: Load;
  /** The get of the bare loop: the owner stands in the path, since nobody logs in there. */
  bareGet: Load;
  /** The same job over and over: signing acquisitions that nobody checks would only keep the driver busy. */
  bareJob: Load;
  /** One request of each kind, a submission before an acquisition. */
  samples: Request[];
  /** One get of the bare loop, of the same user. */
  bareSample: Request;
}

/** Acquisitions may overtake the submissions that were sent before them, so more jobs wait than there are connections. */
const JOBS_AHEAD = 64;
/** Jobs that one request gets when it asks for many. */
const MANY = 50;
const SUCCESS = '{"success":true,';
/** Users who ask, spread over those of a larger site: twice as many as a server remembers. */
const MOST_USERS = 20_000;
/** Sets that are made beforehand, where one of each user is fewer. */
const MOST_SETS = 5000;

const PATHS = {
  set: '/api/v1/creds/set_user_secrets',
  get: '/api/v1/creds/get_user_secrets',
  submit: '/api/v1/task/submit',
  acquire: '/api/v1/pilot/acquire_jobs',
};

/**
 * @param url the server's origin, at which a pilot joins
 * @param values set one after another
 */
export async function makeLoads(
  url: string,
  { users: all, joinToken }: Site,
  values: readonly string[],
): Promise<Loads> {
  const step = Math.ceil(all.length / MOST_USERS);
  const users = all.filter((_, n) => n % step === 0);
  const ten = values.slice(0, 10);
  const getTen = (user: User): Request => {
    const names = new URLSearchParams(ten.map((_, n) => ['keys', secretName(n)]));
    return { ...get(user), path: `${PATHS.get}?${names}` };
  };
  const bareGet = (user: User): Request => ({ path: `/${user.owner}`, headers: bearer(user) });
  const setCount = Math.min(users.length * values.length, Math.max(users.length, MOST_SETS));
  let tasks = 0;
  const submit = (user: User, jobs = 1): Request => ({
    path: PATHS.submit,
    headers: bearer(user),
    body: submission(++tasks, jobs),
  });
  const acquire = await acquisitions(url, joinToken);

  async function jobs(count: number): Promise<string[]> {
    await answersTo(
      url,
      Array.from({ length: JOBS_AHEAD }, (_, n) => submit(userOf(n))),
    );
    const requests = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? submit(userOf(n / 2)) : acquire()));
    return (await Promise.all(requests)).map(bytesOf);
  }
  /** @param each jobs that a request gets */
  function acquisitionsOf(each: number): Load {
    const secretBytes = values.join('').length;
    return {
      requestsPerUnit: 1 / each,
      async requests(count) {
        const perUser = Math.ceil((count * each) / users.length) + JOBS_AHEAD;
        await answersTo(
          url,
          users.map((user) => submit(user, perUser)),
        );
        return (await Promise.all(Array.from({ length: count }, () => acquire(each)))).map(bytesOf);
      },
      answers: [SUCCESS],
      leastBytes: each * secretBytes,
    };
  }
  const userOf = (n: number) => users[n % users.length] as User;
  const first = userOf(0);
  const sampleSubmit = submit(first);
  const sampleAcquire = await acquire();

  return {
    set: repeated(Array.from({ length: setCount }, (_, n) => set(userOf(n), Math.floor(n / users.length), values))),
    get: repeated(users.map(get), answerToGet(values)),
    getTen: repeated(users.map(getTen), answerToGet(ten)),
    bareGet: repeated(users.map(bareGet), answerToGet(values)),
    job: { requestsPerUnit: 2, requests: jobs, answers: [SUCCESS] },
    acquire: acquisitionsOf(1),
    acquireMany: acquisitionsOf(MANY),
    bareJob: { ...repeated([sampleSubmit, sampleAcquire]), requestsPerUnit: 2 },
    samples: [get(first), set(first, 0, values), sampleSubmit, sampleAcquire],
    bareSample: bareGet(first),
  };
}

type User = Site['users'][number];

function get(user: User): Request {
  return { path: PATHS.get, headers: bearer(user) };
}

function set(user: User, n: number, values: readonly string[]): Request {
  return { path: PATHS.set, headers: bearer(user), body: JSON.stringify({ key: secretName(n), value: values[n] }) };
}

/** A get and a set of each of these users. @param round the sets of the next one are of the next secret */
export function getsAndSets(users: readonly User[], values: readonly string[], round: number): Load {
  return repeated(users.flatMap((user) => [get(user), set(user, round % values.length, values)]));
}

/** The same requests over and over, each of which is a unit. */
export function repeated(requests: readonly Request[], answer = SUCCESS): Load {
  return { requestsPerUnit: 1, requests: requests.map(bytesOf), answers: [answer] };
}

/** The whole answer to a get. */
function answerToGet(values: readonly string[]): string {
  const secrets = values.map((value, n) => ({ name: wireName(secretName(n)), value: new Plaintext(value) }));
  return JSON.stringify(succeeded(secretsText(secrets.sort(byName))));
}

function bearer({ token }: User): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

/** A pilot joins and offers fresh keys, the same with each request: making them is the pilot's work, not the server's. */
async function acquisitions(url: string, token: JoinToken): Promise<(jobs?: number) => Promise<Request>> {
  const node = 'node1.example.org';
  const join = await prepareJoin({ url, vo: DEFAULT_VO }, { token, queue: QUEUE, node });
  const session = await join();
  const { offers } = await newRecipient();
  return async (jobs = 1) => {
    const body = JSON.stringify({ site_name: QUEUE, node, sealing_keys: offers, ...(jobs > 1 && { n_jobs: jobs }) });
    const proven = { method: 'POST', url: new URL(PATHS.acquire, url), bodyDigest: digestOf(body) };
    return { path: PATHS.acquire, headers: (await session.sign(proven)).headers, body };
  };
}

/** Makes requests by ordinary means. @returns the body of each answer, by path. @throws {Error} at one that is not a success */
export async function answersTo(url: string, requests: readonly Request[]): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const { path, headers, body } of requests) {
    const answer = await fetch(new URL(path, url), { headers, ...(body && { method: 'POST', body }) });
    const text = await answer.text();
    if (!text.startsWith(SUCCESS)) throw new Error(`${path} was answered ${answer.status} ${text.slice(0, 500)}`);
    answers[path] = text;
  }
  return answers;
}

function bytesOf({ path, headers, body = '', method = body ? 'POST' : 'GET' }: Request): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const type = headers['Content-Type'] ? '' : 'Content-Type: application/json\r\n';
  const ofBody = body && `${type}Content-Length: ${body.length}\r\n`;
  return (
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('')}` +
    `Accept: application/json\r\n${ofBody}\r\n${body}`
  );
}

const NUMBER = '@@@@@@@@';
const taskOf = (jobs: number) =>
  JSON.stringify({
    task_parameters: buildTaskParameters(
      {
        exec: 'python3 my_job.py',
        outDataset: `user.bench.${NUMBER}`,
        outputs: ['result.txt'],
        jobs,
        useSecrets: true,
        commandLine: 'prun --exec "python3 my_job.py" --useSecrets --noBuild',
      },
      DEFAULT_VO,
      { origin: 'http://127.0.0.1:25080', fileName: 'jobO.00000000-0000-4000-8000-000000000000.tar.gz' },
    ),
  });

const TASK = taskOf(1);

/** A task of so many jobs that get all of their owner's secrets; no two have one name. */
function submission(n: number, jobs: number): string {
  return (jobs === 1 ? TASK : taskOf(jobs)).replaceAll(NUMBER, String(n).padStart(NUMBER.length, '0'));
}
