import { readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import type { PandaSecrets, RunningServer } from './panda-secrets.ts';

interface Answer {
  success: boolean;
  message: string;
  data: unknown;
}

interface Sent {
  body?: string;
  headers?: Record<string, string>;
}

/** The longest that an answer may take: for a machine with much else to do. */
const PATIENCE_MS = 100_000;

/** A connection that is kept: always to the same worker. */
export interface Line {
  get(call: string): Promise<Answer>;
  post(call: string, body: object): Promise<Answer>;
  send(method: string, call: string, sent?: Sent): Promise<Answer>;
}

export function lineTo(t: TestContext, url: string, token?: string): Line {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  function send(method: string, call: string, { body, headers: own }: Sent = {}): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    const headers = {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
      ...own,
    };
    const sent = request(`${url}/api/v1/${call}`, { method, agent, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    sent.once(
      'response',
      (response: IncomingMessage) => void json(response).then((read) => answer.resolve(read as Answer), answer.reject),
    );
    sent.once('error', answer.reject);
    sent.end(body);
    return answer.promise;
  }
  return {
    send,
    get: (call) => send('GET', call),
    post: (call, body) => send('POST', call, { body: JSON.stringify(body) }),
  };
}

export const setSecret = (line: Line, key: string, value: string) =>
  line.post('creds/set_user_secrets', { key, value });

export async function secretsBy(line: Line): Promise<Record<string, string>> {
  const { data } = await line.get('creds/get_user_secrets');
  return JSON.parse(String(data));
}

export async function tokenOf(
  program: PandaSecrets,
  user: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  await program.run(['user', 'add', user], environment);
  return (await program.run(['token', user], environment)).stdout.trim();
}

/** Its workers, by their processes. */
export function workersOf(server: RunningServer): number[] {
  return workersAt(Number(server.process.pid));
}

export function workersAt(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
