import type { Command } from 'commander';
import { createPandaSecrets } from '../../src/cli/panda-secrets/program.ts';
import { createPbook } from '../../src/cli/pbook/program.ts';
import { createPrun } from '../../src/cli/prun/program.ts';
import { createPilotProgram } from '../../src/pilot/program.ts';

/** The four programs as their code defines their command lines. Nothing of them is run. */
export function programs(): Command[] {
  const nothing = async () => {};
  return [
    createPbook().command,
    createPrun(nothing, []).command,
    createPandaSecrets(),
    createPilotProgram({
      run: nothing,
      launch: nothing,
      clean: nothing,
      newSiteIdentity: nothing,
      signRequest: nothing,
      newSiteKey: nothing,
      renewSiteKey: nothing,
    }),
  ];
}
