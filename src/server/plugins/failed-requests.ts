import { isIPv6 } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { TooManyTries } from '../../protocol/errors.ts';
import { MAX_COUNTED_ADDRESSES, MAX_FAILED_REQUESTS_PER_MINUTE } from '../../protocol/limits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Counts the request as one that proved nothing: it asked for no call, or not as somebody who may. */
    countFailure(): void;
    /** @throws {TooManyTries} when its address has sent too many of these */
    refuseFlood(): void;
  }
}

const MINUTE = 60_000;

/** Other processes of the same server, which count together. */
export interface SharedFailures {
  /** Tells them of a request that proved nothing. */
  tell(network: string): void;
  /** Has those that they tell of counted. */
  listen(count: (network: string) => void): void;
}

/**
 * Counts the requests of each address that prove nothing, for calls to refuse those from an address that has sent many within a minute,
 * before anything of them is looked at. Whole sites share an address, so that a request is still taken whose token, or whose pilot's
 * session, was found good before.
 */
export function countFailedRequests(
  app: FastifyInstance,
  {
    isKnownToken,
    isKnownPilot,
    clock,
    perMinute = () => undefined,
    shared,
  }: Known & {
    clock: () => number;
    perMinute?: (() => number | undefined) | undefined;
    shared?: SharedFailures | undefined;
  },
): void {
  const counted = new LRUCache<string, { failures: number; from: number }>({ max: MAX_COUNTED_ADDRESSES });

  function count(network: string): void {
    const now = clock();
    const counts = counted.get(network);
    if (counts && isOfNow(counts, now)) counts.failures += 1;
    else counted.set(network, { failures: 1, from: now });
  }

  shared?.listen(count);
  app.decorateRequest('countFailure', function (this: FastifyRequest) {
    const network = networkOf(this.ip);
    count(network);
    shared?.tell(network);
  });

  app.decorateRequest('refuseFlood', function (this: FastifyRequest) {
    if (counted.size === 0) return;
    const counts = counted.get(networkOf(this.ip));
    const now = clock();
    if (!counts || counts.failures < (perMinute() ?? MAX_FAILED_REQUESTS_PER_MINUTE) || !isOfNow(counts, now)) return;
    if (provesItself(this, { isKnownToken, isKnownPilot })) return;
    const seconds = Math.ceil((counts.from + MINUTE - now) / 1000);
    throw new TooManyTries(
      `too many requests without a good token from your address: try again in ${seconds} seconds`,
      seconds,
    );
  });
}

/** A clock that is set back ends a minute, which would be as long as it was set back. */
function isOfNow({ from }: { from: number }, now: number): boolean {
  return from <= now && now < from + MINUTE;
}

interface Known {
  isKnownToken(token: string): boolean;
  isKnownPilot(pilotId: string): boolean;
}

/** A header alone is no proof: anybody can send one of any name. */
function provesItself({ headers }: FastifyRequest, { isKnownToken, isKnownPilot }: Known): boolean {
  const [, scheme, token] = /^(bearer|dpop) +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
  if (!scheme || !token) return false;
  return scheme.toLowerCase() === 'bearer' ? isKnownToken(token) : isKnownPilot(token);
}

/** An IPv4 address; of IPv6 the first 64 bits, which one machine may have to itself. */
function networkOf(ip: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip) ?? [];
  if (mapped) return mapped;
  if (!isIPv6(ip)) return ip;
  const [before = '', after] = ip.split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after ? after.split(':') : [];
  const zeros = after === undefined ? 0 : Math.max(8 - left.length - right.length, 0);
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':');
}
