import type { Connection } from '../client/connect.ts';
import type { DevicePrompt } from '../client/login/device-login.ts';
import { Unauthenticated } from '../protocol/errors.ts';
import { note, printable, styled } from './reporting.ts';

/**
 * Asks somebody at a terminal who has no valid token whether to log in now, and does. Anywhere else, and for a token that the
 * environment names, nothing happens: the command itself says what is missing.
 */
export async function offerLogin(connection: Connection): Promise<void> {
  if (!connection.login.isUsed || !process.stdin.isTTY || !process.stderr.isTTY) return;
  try {
    await connection.token();
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
    const { confirm } = await import('@inquirer/prompts');
    const message = 'You are not logged in. Log in now?';
    if (!(await confirm({ message, default: true }, { output: process.stderr }))) throw error;
    await logIn(connection, {});
  }
}

/**
 * Logs somebody in: shows the address and the code, opens a browser where there is one, and waits with a spinner.
 *
 * @throws {Unauthenticated} when it was refused or took too long
 */
export async function logIn(
  { login }: Connection,
  { browser = true, spinner = true }: { browser?: boolean; spinner?: boolean },
): Promise<void> {
  const { deviceLogin } = await import('../client/login/device-login.ts');
  let stopSpinner = () => {};
  try {
    await deviceLogin(login.server, login.file, (prompt) => {
      tell(prompt);
      if (browser && hasBrowser(process.env)) openBrowser(prompt.addressWithCode);
      if (spinner) stopSpinner = spin(prompt);
    });
  } finally {
    stopSpinner();
  }
}

function tell({ addressWithCode, code }: DevicePrompt): void {
  note('To log in, open');
  process.stderr.write(`  ${styled(['bold', 'underline'], printable(addressWithCode), process.stderr)}\n`);
  process.stderr.write(`and check that it shows the code ${styled('bold', printable(code), process.stderr)}\n`);
}

/** Turns while somebody signs in; loaded meanwhile. */
function spin({ expiresInSeconds }: DevicePrompt): () => void {
  if (!process.stderr.isTTY) return () => {};
  const minutes = Math.floor(expiresInSeconds / 60);
  let stopped = false;
  const spinner = import('ora').then(({ default: ora }) => {
    const made = ora({
      text: `waiting for you to confirm (the code is good for ${minutes} minutes)`,
      discardStdin: false,
    });
    return stopped ? made : made.start();
  });
  return () => {
    stopped = true;
    spinner.then((made) => made.stop());
  };
}

/** True when the person sees a browser that is opened here: not on a machine that they reached by SSH. */
function hasBrowser(env: NodeJS.ProcessEnv): boolean {
  if (!process.stderr.isTTY || env['SSH_CONNECTION'] || env['SSH_TTY']) return false;
  if (process.platform === 'darwin' || process.platform === 'win32') return true;
  return Boolean(env['DISPLAY'] || env['WAYLAND_DISPLAY']);
}

function openBrowser(address: string): void {
  import('open')
    .then(async ({ default: open }) => {
      const child = await open(address);
      child.on('error', () => {});
    })
    .catch(() => {}); // The address is on the screen.
}
