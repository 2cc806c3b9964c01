import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type AuditEntry, type KeptHead, SYSTEM } from '../../audit/audit.ts';
import { InvalidArgument, Misconfigured } from '../../protocol/errors.ts';
import { printable } from '../reporting.ts';
import { addInstallationOptions, addLocalOptions, administerHere } from './administer.ts';

const TAIL_ENTRIES = 20;

/** `panda-secrets audit verify|heads|tail|export`: the records of what was done, at the server's machine alone. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('the records of what users, operators and pilots did');

  addLocalOptions(audit.command('verify'))
    .description('checks every chain of records; status 1 and the place when something was changed, removed or added')
    .option('--heads <file>', 'also against heads that were kept, which shows a chain that was made anew')
    .action(({ heads }: { heads?: string }, command: Command) =>
      administerHere(command, async (administration) => {
        const kept = heads === undefined ? [] : await readHeads(heads);
        const checks = await administration.verifyAudit(kept);
        let entries = 0;
        let cut = 0;
        const broken: { chain: string; seq: number; reason: string }[] = [];
        for (const { chain, check } of checks) {
          if (check.whole) {
            entries += check.entries - (check.cut ?? 0);
            if (check.cut !== undefined) cut += 1;
            continue;
          }
          const { seq, reason } = check;
          broken.push({ chain, seq, reason });
          console.error(printable(`panda-secrets: the audit of ${nameOf(chain)} breaks at entry ${seq}: ${reason}`));
        }
        const data = { chains: checks.length, entries, cut, broken };
        if (broken.length > 0)
          return { data, text: '', failure: `${broken.length} of ${checks.length} chains are broken` };
        const begins = cut === 0 ? '' : `; ${cut} of them cut at the front, as no longer kept`;
        return { data, text: `whole: ${entries} entries in ${checks.length} chains${begins}` };
      }),
    );

  addInstallationOptions(audit.command('heads'))
    .description(
      'prints the head of each chain, a JSON object a line: to keep where nobody who writes the database writes',
    )
    .action((_options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        for (const head of await administration.auditHeads()) console.log(JSON.stringify(head));
        return undefined;
      }),
    );

  addLocalOptions(audit.command('tail'))
    .description("prints the last entries of the system's chain: what operators did, and what was refused")
    .option('-n, --lines <n>', 'how many', String(TAIL_ENTRIES))
    .option('--chain <id>', "an owner's chain instead, by its id", SYSTEM)
    .action(({ lines, chain }: { lines: string; chain: string }, command: Command) =>
      administerHere(command, async (administration) => {
        if (!/^[1-9]\d{0,8}$/.test(lines)) throw new InvalidArgument('--lines must be a whole number from 1');
        const head = (await administration.auditHeads()).find((one) => one.chain === chain);
        const after = Math.max(0, (head?.seq ?? 0) - Number(lines));
        const entries: AuditEntry[] = [];
        for await (const entry of administration.auditEntries(chain, after)) entries.push(entry);
        return { data: entries.map(withIsoTime), text: entries.map(lineOf).join('\n') };
      }),
    );

  addInstallationOptions(audit.command('export'))
    .description('prints every entry of every chain, a JSON object a line')
    .action((_options: unknown, command: Command) =>
      administerHere(command, async (administration) => {
        for (const { chain } of await administration.auditHeads()) {
          for await (const entry of administration.auditEntries(chain)) console.log(JSON.stringify(withIsoTime(entry)));
        }
        return undefined;
      }),
    );
}

function withIsoTime({ at, ...entry }: AuditEntry) {
  return { ...entry, at: new Date(at).toISOString() };
}

function lineOf({ seq, at, actor, action, detail }: AuditEntry): string {
  return `${seq}  ${new Date(at).toISOString()}  ${actor}  ${action}  ${JSON.stringify(detail)}`;
}

function nameOf(chain: string): string {
  return chain === SYSTEM ? 'the system' : `owner ${chain}`;
}

/** Reads the output of `audit heads`, printed once or several times. @throws {Misconfigured} */
async function readHeads(file: string): Promise<KeptHead[]> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new Misconfigured(`${file} cannot be read (${error.code})`);
  });
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw new Misconfigured(`${file} is empty: "panda-secrets audit heads" makes one`);
  return lines.map((line, n) => {
    const head = parseHead(line);
    if (!head) throw new Misconfigured(`line ${n + 1} of ${file} is not one of "panda-secrets audit heads"`);
    return head;
  });
}

function parseHead(line: string): KeptHead | undefined {
  try {
    const { chain, seq, hash } = JSON.parse(line);
    const isHead = typeof chain === 'string' && Number.isSafeInteger(seq) && /^[0-9a-f]{64}$/.test(hash);
    return isHead ? { chain, seq, hash } : undefined;
  } catch {
    return undefined;
  }
}
