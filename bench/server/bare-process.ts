import { type ChildProcess, fork } from 'node:child_process';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A bare program that runs as a process of its own beside the server. */
export interface BareProcess {
  pid: number;
  /** Sends it a message and waits for its answer. */
  ask<Answer>(message: unknown): Promise<Answer>;
  stop(): void;
}

/** Starts the program at `url` (`file:`) and hands it its first message. @returns it, and what it answered */
export async function startBare<Answer>(url: string, message: unknown): Promise<BareProcess & { answer: Answer }> {
  const child = fork(new URL(url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const bare = {
    pid: child.pid as number,
    ask: <T>(question: unknown) => ask<T>(child, question),
    stop: () => child.disconnect(),
  };
  return { ...bare, answer: await bare.ask<Answer>(message) };
}

function ask<Answer>(child: ChildProcess, question: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (status: number | null) => reject(new Error(`a bare program ended with status ${status}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Answer);
    });
    child.send(question as object);
  });
}

/** The bare program's side: answers each message, and ends with the program that started it. */
export function answerMessages<Message>(answer: (message: Message) => unknown): void {
  process.on('message', async (message) => process.send?.(await answer(message as Message)));
  process.on('disconnect', () => process.exit());
}

/** Listens with nothing but `node:http`. @returns the port */
export function listenBare(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
