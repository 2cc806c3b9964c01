import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

const missing = ['python3', 'systemd-notify'].filter((program) => spawnSync(program, ['--version']).status !== 0);
/** Why there is none, as a test is told why it is skipped. */
export const noReceiver = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false;

const RECEIVER = `
import socket, sys
receiving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiving.bind(sys.argv[1].replace("@", chr(0), 1) if sys.argv[1][0] == "@" else sys.argv[1])
print("bound", flush=True)
while True:
    print(receiving.recv(4096).decode().replace(chr(10), " "), flush=True)
`;

/** Stands in for systemd: what comes to the socket that a service tells its state to. */
export async function receiver(t: TestContext, socket: string): Promise<string[]> {
  const child = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const told: string[] = [];
  const lines = createInterface(child.stdout);
  await once(lines, 'line');
  lines.on('line', (line) => line !== 'BARRIER=1' && told.push(line));
  return told;
}
