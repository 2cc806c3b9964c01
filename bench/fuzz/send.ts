import { connect } from 'node:net';

/** A fault that the fuzz found in a part. */
export interface Fault {
  what: string;
  input: string;
}

export interface Sent {
  /** 0 when the connection was closed without an answer. */
  status: number;
  milliseconds: number;
  fault?: Fault;
}

const SLOW_MILLISECONDS = 5000;
/** A request that is not whole gets no answer: the client goes away then. */
const PATIENCE_MILLISECONDS = 300;

/** Sends one request on a connection of its own. `whole`: whether it is one that must be answered. */
export function send(port: number, { bytes, whole }: { bytes: Buffer; whole: boolean }): Promise<Sent> {
  const begun = performance.now();
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(), whole ? 4 * SLOW_MILLISECONDS : PATIENCE_MILLISECONDS);
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
      if (isWhole(received)) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      const milliseconds = performance.now() - begun;
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 0);
      const what = faultOf({ status, milliseconds, received, whole });
      const input = `${bytes.toString('latin1', 0, 2000)}${bytes.length > 2000 ? `... ${bytes.length} bytes` : ''}`;
      resolve({ status, milliseconds, ...(what && { fault: { what, input } }) });
    });
  });
}

function faultOf({
  status,
  milliseconds,
  received,
  whole,
}: Sent & { received: string; whole: boolean }): string | undefined {
  if (status >= 500) return `status ${status}: ${received.slice(0, 500)}`;
  if (/internal error/.test(received)) return received.slice(-300);
  if (whole && milliseconds > SLOW_MILLISECONDS) return `${milliseconds.toFixed(0)} ms`;
  return whole && status === 0 ? 'no answer' : undefined;
}

function isWhole(received: string): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const head = received.slice(0, headEnd);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return received.length - headEnd - 4 >= Number(length);
  return /^transfer-encoding: chunked/im.test(head) ? received.endsWith('0\r\n\r\n') : true;
}
