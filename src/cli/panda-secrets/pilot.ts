import type { Command } from 'commander';
import type { ListedPilot, RefusedToken } from '../../protocol/calls/admin.ts';
import { columns } from '../columns.ts';
import { addAdministrationOptions, administer } from './administer.ts';

/** `panda-secrets pilot list|end`: the pilots that joined. */
export function addPilotCommands(program: Command): void {
  const pilot = program.command('pilot').description('the pilots that joined with a one-time token');

  addAdministrationOptions(pilot.command('list'))
    .description('lists the pilots, and the join tokens that somebody tried to use a second time')
    .action((_options: unknown, command: Command) =>
      administer(command, async (administration) => {
        const { pilots, refused } = await administration.listPilots({});
        const table = pilots.length > 0 ? (await tableOfPilots(pilots)).trimEnd() : 'no pilots';
        return { data: { pilots, refused }, text: [table, ...refused.map(warning)].join('\n') };
      }),
    );

  addAdministrationOptions(pilot.command('end <pilot>'))
    .description("ends a pilot's session at once; what it runs is lost to it, and run again elsewhere")
    .action((id: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.endPilot({ pilot: id });
        return { text: `ended ${id}` };
      }),
    );
}

function tableOfPilots(pilots: readonly ListedPilot[]): Promise<string> {
  const rows = pilots.map(({ id, queue, node, joined_at, seen_at, state }) => [
    id,
    queue,
    shown(node),
    minute(joined_at),
    minute(seen_at),
    state,
  ]);
  return columns([{ title: 'PILOT', isWhole: true }, 'QUEUE', 'NODE', 'JOINED', 'SEEN', 'STATE'], rows);
}

function warning({ token_id, queue, pilot_id, times, at, node, same_key }: RefusedToken): string {
  const what = same_key
    ? 'the same request was sent again: by the pilot, to which no answer came, or by somebody who recorded it'
    : 'with another key: a pilot was started a second time with it, or it was copied, and then the first one may not be yours';
  return (
    `REFUSED: ${token_id} of queue ${queue}, with which ${pilot_id} joined, was used again ${times === 1 ? 'once' : `${times} times`}, ` +
    `last at ${minute(at)} on "${shown(node)}", ${what}`
  );
}

/** @param time ISO 8601, UTC */
function minute(time: string): string {
  return `${time.slice(0, 16).replace('T', ' ')}Z`;
}

/** A pilot names its machine as it likes: nothing in it may act on a terminal. */
function shown(node: string): string {
  return node.replace(/\p{C}/gu, '?');
}
