import { gunzipSync } from 'node:zlib';
import { type Handler, no, ok, startStub } from '../client/stub-server.ts';
import pandas from './panda-calls.json' with { type: 'json' };

type SeenRequest = Parameters<Handler>[0];

/** A server of PanDA's as its users see it: it knows PanDA's calls, and nothing of our extensions. */
export interface PandaServer extends AsyncDisposable {
  url: string;
  /** The secrets of its one user. */
  secrets: Map<string, string>;
  /** The `task_parameters` that were submitted. */
  tasks: Record<string, unknown>[];
  sandboxes: Map<string, Buffer>;
  /** `GROUP/METHOD` of every request that it did not know. */
  unknown: string[];
  /** Commands to tasks: `kill 4`, `finish 4 soft`. */
  commands: string[];
}

const PARAMETERS = new Map(
  pandas.calls.map(({ path, parameters }) => [path, parameters as unknown as Record<string, string>]),
);

export async function startPanda(): Promise<PandaServer> {
  const secrets = new Map<string, string>();
  const tasks: Record<string, unknown>[] = [];
  const sandboxes = new Map<string, Buffer>();
  const commands: string[] = [];
  const command =
    (name: string) =>
    ({ task_id: id, soft }: Record<string, unknown>) => {
      commands.push(`${name} ${id}${soft ? ' soft' : ''}`);
      return ok(0, 'command is registered. will be executed in a few minutes');
    };

  const calls: Record<string, (args: Record<string, unknown>, request: SeenRequest) => unknown> = {
    'creds/set_user_secrets': ({ key, value }) => {
      if (key === null) secrets.clear();
      else if (value === null) secrets.delete(String(key)) || secrets.delete(`___file___:${key}`);
      else secrets.set(String(key), String(value));
      return ok();
    },
    'creds/get_user_secrets': () => ok(JSON.stringify(Object.fromEntries(secrets)), ''),
    'file_server/validate_cache_file': () => no('NOTFOUND'),
    'file_server/upload_cache_file': (_args, { body }) => {
      const text = body.toString('latin1');
      const name = /filename="([^"]+)"/.exec(text)?.[1] ?? '';
      const content = text.slice(text.indexOf('\r\n\r\n') + 4, text.lastIndexOf('\r\n--'));
      sandboxes.set(name, Buffer.from(content, 'latin1'));
      return ok('True', '');
    },
    'task/submit': ({ task_parameters }) => {
      tasks.push(task_parameters as Record<string, unknown>);
      return ok(20_000_000 + tasks.length, `succeeded. new jediTaskID=${20_000_000 + tasks.length}`);
    },
    'task/get_tasks_detailed_info_since': ({ filters }) => {
      const { jediTaskID } = JSON.parse(String(filters ?? '{}')) as Record<string, string>;
      const listed = tasks.map((task, place) => listedTask(20_000_001 + place, task));
      return ok(listed.filter((task) => jediTaskID === undefined || String(task.jediTaskID) === jediTaskID));
    },
    'task/get_status': () => ok('running'),
    'task/kill': command('kill'),
    'task/finish': command('finish'),
    'task/retry': command('retry'),
  };
  const handlers = Object.entries(calls).map(([path, handle]): [string, Handler] => [
    path,
    (request) => {
      const args = argumentsOf(request);
      const mistake = mistakeIn(path, args);
      return mistake ? no(mistake) : handle(args, request);
    },
  ]);
  const stub = await startStub(Object.fromEntries(handlers));
  return {
    url: stub.url,
    secrets,
    tasks,
    sandboxes,
    commands,
    get unknown() {
      return stub.seen.map(({ path }) => path).filter((path) => !Object.hasOwn(calls, path));
    },
    [Symbol.asyncDispose]: () => stub[Symbol.asyncDispose](),
  };
}

function argumentsOf({ method, query, headers, body }: SeenRequest): Record<string, unknown> {
  if (method === 'GET') return Object.fromEntries(query);
  if (headers['content-type']?.startsWith('multipart/')) return { file: body };
  return JSON.parse((headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString());
}

/** PanDA refuses an argument that it does not know. */
function mistakeIn(path: string, args: Record<string, unknown>): string | undefined {
  const known = PARAMETERS.get(path) ?? {};
  const extra = Object.keys(args).find((name) => !Object.hasOwn(known, name));
  return extra && `Argument error: got an unexpected keyword argument '${extra}'`;
}

/** With more than our server tells, and dates in PanDA's other form. */
function listedTask(jediTaskID: number, task: Record<string, unknown>) {
  return {
    jediTaskID,
    reqID: 7,
    taskName: task['taskName'],
    userName: 'A Doe',
    creationDate: { __datetime__: '2026-01-02T03:04:05' },
    modificationTime: { __datetime__: '2026-01-02T03:05:05.678' },
    superStatus: 'running',
    status: 'scouting',
    errorDialog: null,
    pctfinished: 0,
    pctfailed: 0,
    nfiles: 1,
    nfilesfinished: 0,
    nfilesfailed: 0,
    site: null,
    workingGroup: null,
    splitRule: 'XX=1',
    jobParamsTemplate: '-j ""',
  };
}
