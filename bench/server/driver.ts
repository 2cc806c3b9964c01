import { connect, type Socket } from 'node:net';

/** A request to a server, made over and over. */
export interface Load {
  /** The number of requests that make one unit of what is counted: 1, or 2 for a job that is submitted and then acquired. */
  requestsPerUnit: number;
  /** The bytes of a connection's next request; `step` counts the requests of that connection from 0. */
  request(connection: number, step: number): string | Promise<string>;
}

/** A server's work meanwhile. */
export interface Driven {
  units: number;
  seconds: number;
  /** The time that each unit took, milliseconds, ascending. */
  latencies: ArrayLike<number>;
}

/**
 * Drives a server for so long over keep-alive connections, each with one request under way. On plain sockets, with no more
 * HTTP than it takes to find the end of an answer, so that the driver has room on its core while the server has none on its.
 *
 * @throws {Error} at the first answer that is not a success
 */
export async function drive(
  port: number,
  load: Load,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Driven> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const latencies: number[] = [];
  const start = performance.now();
  const until = start + seconds * 1000;
  try {
    await Promise.all(sockets.map((socket, connection) => converse(socket, connection, load, until, latencies)));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  const taken = (performance.now() - start) / 1000;
  return { units: latencies.length, seconds: taken, latencies: Float64Array.from(latencies).sort() };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket)).once('error', reject);
  });
}

function converse(
  socket: Socket,
  connection: number,
  { requestsPerUnit, request }: Load,
  until: number,
  latencies: number[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    let step = 0;
    let begun = 0;
    let received: Buffer | undefined;
    let expected = 0;

    function next() {
      const now = performance.now();
      if (step % requestsPerUnit === 0) {
        if (step > 0) latencies.push(now - begun);
        if (now >= until) return resolve();
        begun = now;
      }
      const bytes = request(connection, step++);
      if (typeof bytes === 'string') socket.write(bytes, 'latin1');
      else bytes.then((text) => socket.write(text, 'latin1'), reject);
    }

    socket.on('data', (chunk: Buffer) => {
      received = received ? Buffer.concat([received, chunk]) : chunk;
      expected ||= answerLength(received);
      if (expected === 0 || received.length < expected) return;
      if (!isSuccess(received)) return reject(new Error(`a server answered ${received.toString('utf8', 0, 1000)}`));
      received = undefined;
      expected = 0;
      next();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('a server closed a connection')));
    next();
  });
}

const HEAD_END = '\r\n\r\n';

/** Bytes of the answer that begins here; 0 while its head is not whole. */
function answerLength(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return 0;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd))?.[1];
  if (length === undefined) throw new Error('a server answered without Content-Length');
  return headEnd + HEAD_END.length + Number(length);
}

const STATUS = Buffer.from('HTTP/1.1 200 ');
const SUCCESS = Buffer.from('\r\n\r\n{"success":true,');

function isSuccess(answer: Buffer): boolean {
  return answer.subarray(0, STATUS.length).equals(STATUS) && answer.includes(SUCCESS);
}
