/** The programs of the package, with the file that each begins in. */
export const PROGRAMS = {
  pbook: 'src/cli/pbook/main.ts',
  prun: 'src/cli/prun/main.ts',
  'panda-secrets': 'src/cli/panda-secrets/main.ts',
  'panda-pilot': 'src/pilot/main.ts',
};
export type Program = keyof typeof PROGRAMS;
