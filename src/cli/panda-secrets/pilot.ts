import type { Command } from 'commander';
import { type RefusedUse, refusedUses } from '../../identity/join-tokens.ts';
import { endPilotSession, type ListedPilot, listedPilots } from '../../identity/pilots.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { tableOf } from './table.ts';

/** `panda-secrets pilot list|end`: the pilots that joined. */
export function addPilotCommands(program: Command): void {
  const pilot = program.command('pilot').description('the pilots that joined with a one-time token');

  addInstallationOptions(pilot.command('list'))
    .description('lists the pilots, and the join tokens that somebody tried to use a second time')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }, command: Command) =>
      administer(command, async ({ store }) => {
        const pilots = await listedPilots(store, Date.now);
        const refused = await refusedUses(store);
        if (json) return console.log(JSON.stringify({ pilots, refused }));
        console.log(pilots.length > 0 ? tableOfPilots(pilots) : 'no pilots');
        for (const use of refused) console.log(warning(use));
      }),
    );

  addInstallationOptions(pilot.command('end <pilot>'))
    .description("ends a pilot's session at once; what it runs is lost to it, and run again elsewhere")
    .action((id: string, _options: unknown, command: Command) =>
      administer(command, async ({ store }) => {
        await endPilotSession(store, Date.now, id);
        console.log(`ended ${id}`);
      }),
    );
}

function tableOfPilots(pilots: readonly ListedPilot[]): string {
  const rows = pilots.map(({ id, queue, node, joinedAt, seenAt, state }) => [
    id,
    queue,
    shown(node),
    minute(joinedAt),
    minute(seenAt),
    state,
  ]);
  return tableOf(['PILOT', 'QUEUE', 'NODE', 'JOINED', 'SEEN', 'STATE'], rows);
}

function warning({ tokenId, queue, pilotId, times, at, node, sameKey }: RefusedUse): string {
  const what = sameKey
    ? 'the same request was sent again: by the pilot, to which no answer came, or by somebody who recorded it'
    : 'with another key: a pilot was started a second time with it, or it was copied, and then the first one may not be yours';
  return (
    `REFUSED: ${tokenId} of queue ${queue}, with which ${pilotId} joined, was used again ${times === 1 ? 'once' : `${times} times`}, ` +
    `last at ${minute(at)} on "${shown(node)}", ${what}`
  );
}

function minute(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

/** A pilot names its machine as it likes: nothing in it may act on a terminal. */
function shown(node: string): string {
  return node.replace(/\p{C}/gu, '?');
}
