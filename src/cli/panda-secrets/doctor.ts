import type { Command } from 'commander';
import { examine } from '../../site/doctor.ts';
import type { Finding } from '../../site/finding.ts';
import { readSettings } from '../../site/settings.ts';
import { addNotes } from '../help-notes.ts';
import { EXIT_OK, EXIT_REFUSED, printable, printJson, styled } from '../reporting.ts';
import { addLocalOptions } from './administer.ts';
import { askPassphrase } from './ask-passphrase.ts';

/** Nothing is wrong yet. */
const EXIT_WARNINGS = 3;

/** `panda-secrets doctor`: looks at an installation, for people and for a monitor. */
export function addDoctorCommand(program: Command): void {
  addNotes(
    addLocalOptions(program.command('doctor')),
    `Status ${EXIT_OK}: all is fine. ${EXIT_WARNINGS}: there are warnings. ${EXIT_REFUSED}: something is wrong.`,
  )
    .description('looks for what is wrong with an installation, or soon will be, and says what to do')
    .option(
      '--fix',
      'mends what can be mended without harm: modes of files, and what was left by changes that were broken off',
    )
    .action(doctor);
}

async function doctor(
  { fix = false, json = false }: { fix?: boolean; json?: boolean },
  command: Command,
): Promise<void> {
  const settings = readSettings(command.opts(), process.env);
  const options = { clock: Date.now, ask: askPassphrase() };
  const found = await examine(settings, options);
  const fixed: string[] = [];
  for (const finding of fix ? found : []) if (finding.fix) fixed.push(await finding.fix());
  const findings = fixed.length > 0 ? await examine(settings, options) : found;
  const state = worst(findings);
  if (json) {
    const shown = findings.map(({ fix: mend, ...finding }) => ({ ...finding, fixable: mend !== undefined }));
    const message = state === 'fine' ? 'OK' : `${findings.filter((one) => one.state !== 'fine').length} findings`;
    printJson({ state, findings: shown, fixed }, { success: state !== 'wrong', message });
  } else {
    const lines = [...fixed.map((what) => `fixed    ${what}`), ...findings.flatMap(linesOf)];
    process.stdout.write(`${lines.map(printable).map(coloured).join('\n')}\n`);
  }
  process.exitCode = { fine: EXIT_OK, warning: EXIT_WARNINGS, wrong: EXIT_REFUSED }[state];
}

function worst(findings: readonly Finding[]): Finding['state'] {
  for (const state of ['wrong', 'warning'] as const) if (findings.some((one) => one.state === state)) return state;
  return 'fine';
}

function linesOf({ check, state, what, todo, fix }: Finding): string[] {
  const mends = fix ? ' (--fix does that)' : '';
  return [`${state.padEnd(8)} ${check}: ${what}`, ...(todo === undefined ? [] : [`           ${todo}${mends}`])];
}

function coloured(line: string): string {
  const [word = ''] = line.split(' ', 1);
  const style = ({ wrong: 'red', warning: 'yellow' } as const)[word];
  return style ? line.replace(word, styled(style, word, process.stdout)) : line;
}
