import { connect, type Socket } from 'node:net';

/** A fault that the fuzz found in a part. */
export interface Fault {
  what: string;
  input: string;
}

/** A request as bytes. `whole`: HTTP asks for an answer. */
export interface WireRequest {
  bytes: Buffer;
  whole: boolean;
  /** Its answer has no body. */
  isHead: boolean;
}

export interface Sent {
  /** 0 when the connection was closed without an answer. */
  status: number;
  milliseconds: number;
  input: string;
  fault?: Fault;
}

export const SLOW_MILLISECONDS = 5000;
/** A request that is not whole gets no answer: the client goes away then. */
const PATIENCE_MILLISECONDS = 300;
/** After so many requests a connection comes from another address: the server limits what one address may do. */
const REQUESTS_PER_CONNECTION = 30;

/** Sends requests one after another, on one connection as long as the server keeps it. */
export class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  #sent = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async send(request: WireRequest): Promise<Sent> {
    if (!request.whole || this.#sent >= REQUESTS_PER_CONNECTION) this.close();
    const isUsed = this.#socket !== undefined;
    const sent = await this.#exchange(request);
    if (!request.whole) this.close();
    // The server may have closed a connection that was idle when the request came.
    return isUsed && sent.status === 0 ? this.send(request) : sent;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #exchange({ bytes, whole, isHead }: WireRequest): Promise<Sent> {
    const begun = performance.now();
    const socket = this.#open();
    this.#sent += 1;
    return new Promise((resolve) => {
      let received = '';
      const done = () => {
        clearTimeout(timer);
        socket.off('data', read).off('close', closed);
        const milliseconds = performance.now() - begun;
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 0);
        if (/^connection: close/im.test(received)) this.close();
        const what = faultOf({ status, received, whole });
        const input = `${bytes.toString('latin1', 0, 2000)}${bytes.length > 2000 ? `... ${bytes.length} bytes` : ''}`;
        resolve({ status, milliseconds, input, ...(what && { fault: { what, input } }) });
      };
      const read = (text: string) => {
        received += text;
        if (received.startsWith('HTTP/1.1 100 ')) received = received.slice(received.indexOf('\r\n\r\n') + 4);
        if (isWhole(received, isHead)) done();
      };
      const closed = () => {
        this.#socket = undefined;
        done();
      };
      const timer = setTimeout(
        () => {
          this.close();
          done();
        },
        whole ? 4 * SLOW_MILLISECONDS : PATIENCE_MILLISECONDS,
      );
      socket.on('data', read).on('close', closed);
      if (socket.destroyed) closed();
      else socket.write(bytes);
    });
  }

  #open(): Socket {
    if (this.#socket) return this.#socket;
    this.#sent = 0;
    const [a, b, c] = [1, 2, 3].map(() => 1 + Math.floor(Math.random() * 254));
    const socket = connect({ port: this.#port, host: '127.0.0.1', localAddress: `127.${a}.${b}.${c}`, noDelay: true });
    socket.setEncoding('latin1').on('error', () => {});
    this.#socket = socket;
    return socket;
  }
}

function faultOf({
  status,
  received,
  whole,
}: {
  status: number;
  received: string;
  whole: boolean;
}): string | undefined {
  if (status >= 500) return `status ${status}: ${received.slice(0, 500)}`;
  if (/internal error/.test(received)) return received.slice(-300);
  return whole && status === 0 ? 'no answer' : undefined;
}

function isWhole(received: string, isHead: boolean): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const head = received.slice(0, headEnd);
  if (isHead || /^HTTP\/1\.1 (204|304)/.test(head)) return true;
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return received.length - headEnd - 4 >= Number(length);
  return /^transfer-encoding: chunked/im.test(head) ? received.endsWith('0\r\n\r\n') : true;
}
