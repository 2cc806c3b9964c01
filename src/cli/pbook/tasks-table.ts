import type { ListedTask } from '../../protocol/calls/task.ts';
import { type Column, columns } from '../columns.ts';
import { printable } from '../reporting.ts';
import { styledState } from './state-styles.ts';

type Cell = Column & { of(task: ListedTask): unknown };

const ID: Cell = { title: 'JediTaskID', align: 'right', of: (task) => task.jediTaskID };
const REQUEST: Cell = { title: 'ReqID', align: 'right', of: (task) => task.reqID };
const STATUS: Cell = { title: 'Status', align: 'right', of: (task) => task.status };
const PROGRESS: Cell = { title: 'Progress', align: 'right', of: (task) => `${task.pctfinished ?? 0}%` };
const NAME: Cell = { title: 'TaskName', of: (task) => task.taskName };
const CREATED: Cell = { title: 'CreationDate', of: (task) => task.creationDate };
const MODIFIED: Cell = { title: 'ModificationTime', of: (task) => task.modificationTime };
const FILES: Cell = {
  title: 'Files (done|failed|total)',
  of: (task) => `${task.nfilesfinished ?? 0}|${task.nfilesfailed ?? 0}|${task.nfiles ?? 0}`,
};

const STANDARD = [ID, REQUEST, STATUS, PROGRESS, NAME];
const LONG = [ID, STATUS, CREATED, MODIFIED, REQUEST, PROGRESS, FILES, NAME];

/** Tasks one to a line, with the columns of PanDA's pbook. */
export function tasksTable(tasks: readonly ListedTask[], { long }: { long: boolean }): Promise<string> {
  const cells = long ? LONG : STANDARD;
  const rows = tasks.map((task) => cells.map((cell) => shown(cell, task)));
  return columns(cells, rows);
}

function shown(cell: Cell, task: ListedTask): string {
  const text = printable(String(cell.of(task) ?? ''));
  return cell === STATUS ? styledState(text) : text;
}
