import type { TaskQuery } from '../jobs/jobs.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { TASK_STATES } from '../protocol/states.ts';
import { superStatus } from './task-answers.ts';

/**
 * Reads the `filters` of PanDA's `task/get_tasks_detailed_info_since`: the JSON text of an object column -> a value, or several
 * with `|` between them.
 *
 * @throws {InvalidArgument} naming the filter
 */
export function parseTaskFilters(text: string): Filter {
  const parsed: Filter = {};
  for (const [name, value] of Object.entries(parseObject(text))) {
    const parse = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (!parse) {
      throw new InvalidArgument(`filters: "${name}" is unknown; use ${Object.keys(FILTERS).join(', ')}`);
    }
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new InvalidArgument(`filters: ${name} must be text`);
    }
    if (/\p{Cc}/u.test(String(value))) throw new InvalidArgument(`filters: ${name} may not have control characters`);
    for (const [part, wanted] of Object.entries(parse(String(value).split('|')))) {
      const field = part as keyof typeof parsed;
      const earlier = parsed[field] as unknown[] | undefined;
      // Two filters on one column (jediTaskID and reqID, status and superStatus) must both hold.
      Object.assign(parsed, {
        [field]: earlier ? (wanted as unknown[]).filter((one) => earlier.includes(one)) : wanted,
      });
    }
  }
  return parsed;
}

type Filter = Omit<TaskQuery, 'limit'>;

const FILTERS: Record<string, (values: string[]) => Filter> = {
  jediTaskID: (values) => ({ ids: values.map(parseId) }),
  // A task is its own request here.
  reqID: (values) => ({ ids: values.map(parseId) }),
  taskName: (values) => ({ names: values.map((name) => (name.endsWith('/') ? name : `${name}/`)) }),
  status: (values) => ({ states: values }),
  superStatus: (values) => ({ states: TASK_STATES.filter((state) => values.includes(superStatus(state))) }),
  site: (values) => ({ queues: values }),
  userName: (values) => ({ ownerNames: values }),
};

function parseId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(id))
    throw new InvalidArgument(`filters: "${text}" is not a task id`);
  return id;
}

function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new InvalidArgument("'filters' is not valid JSON");
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  throw new InvalidArgument("'filters' must be a JSON object: column -> value");
}
