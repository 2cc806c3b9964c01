/** A request that a program of PanDA's sent, and what it was answered and understood. */
export interface Exchange {
  method: string;
  path: string;
  /** Without those that follow from the connection. A token is `USER_TOKEN` or `PILOT_TOKEN`. */
  headers: Record<string, string>;
  /** The text of the body, unpacked; the bytes as base64 where it is none. */
  body?: string;
  base64?: string;
  /** True when the body was compressed. */
  gzip?: true;
  status: number;
  /** The JSON that it was answered, or `BYTES`. */
  answer: unknown;
}

/** Takes out of a request or an answer what is another one each time, or of one machine: hosts, times, paths. */
export function scrub(text: string, host: string): string {
  return text
    .replaceAll(host, 'HOST')
    .replaceAll(`FOUND:${host.split(':')[0]}:`, 'FOUND:HOSTNAME:')
    .replace(/\bsince=\d{4}-\d\d-\d\d/g, 'since=2020-01-01')
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+00:00)?/g, 'TIME')
    .replace(/("osInfo": ")[^"]*/g, '$1Linux')
    .replace(/("node": ")[^"]*/g, '$1node1')
    .replace(/("cpuConsumptionUnit": ")[^"]*/g, '$1s+cpu')
    .replace(/file:\/\/\/[^"\\]*\//g, 'file:///out/');
}
