import { readFileSync } from 'node:fs';
import {
  MAX_ARGUMENTS_BYTES,
  MAX_SECRET_VARIABLES_BYTES,
  MAX_VARIABLE_BYTES,
  MIN_ARGUMENTS_BYTES,
  SPARE_ARGUMENTS_BYTES,
} from '../protocol/limits.ts';
import { isEnvironmentName, splitWireName } from '../protocol/names.ts';
import { utf8Length } from '../protocol/text.ts';
import type { JobSecret } from './job-secrets.ts';

/** A string secret that is no variable: its name cannot be one or is set otherwise, or its value has a NUL or no room. */
export interface LeftOut {
  name: string;
  why: 'name' | 'value';
}

export interface SecretVariablesOptions {
  /** What the payload has besides. A secret wins over a variable of its name. */
  environment: Readonly<Record<string, string>>;
  /** Of `environment`, what stays as it is, whatever the secrets say. */
  fixed: Readonly<Record<string, string>>;
  /** The bytes that the payload's arguments and environment may have together, see {@link argumentsRoom}. */
  room: number;
}

/**
 * The variables of string secrets, as they are: no shell sees them. A name must be one that a shell can use and that would not
 * break the job (`isEnvironmentName`). All together take at most half of the room.
 *
 * @returns the variables, and which of `secrets` are none
 */
export function secretVariables(
  secrets: readonly JobSecret[],
  { environment, fixed, room: whole }: SecretVariablesOptions,
): { variables: Record<string, string>; leftOut: LeftOut[] } {
  const others = Object.entries(environment).reduce((sum, [name, value]) => sum + sizeOf(name, value), 0);
  let room = Math.min(MAX_SECRET_VARIABLES_BYTES, whole / 2, whole - others - SPARE_ARGUMENTS_BYTES);
  const variables: Record<string, string> = {};
  const leftOut: LeftOut[] = [];
  for (const { name: wireName, value } of secrets) {
    const { name, kind } = splitWireName(wireName);
    if (kind !== 'string') continue;
    if (!isEnvironmentName(name) || Object.hasOwn(fixed, name)) {
      leftOut.push({ name, why: 'name' });
      continue;
    }
    const text = value.reveal();
    const bytes = sizeOf(name, text);
    if (text.includes('\0') || bytes - POINTER_BYTES > MAX_VARIABLE_BYTES || bytes > room) {
      leftOut.push({ name, why: 'value' });
      continue;
    }
    room -= bytes;
    variables[name] = text;
  }
  return { variables, leftOut };
}

/** Of the stack, the part that arguments and environment may take (execve(2)). */
const SHARE_OF_STACK = 1 / 4;

/** The bytes that the kernel lets arguments and environment of a program have: they follow the stack limit of this process. */
export function argumentsRoom(limits = ownLimits()): number {
  const [, soft = 'unlimited'] = /^Max stack size\s+(\S+)/m.exec(limits) ?? [];
  const bytes = soft === 'unlimited' ? MAX_ARGUMENTS_BYTES : Number(soft) * SHARE_OF_STACK;
  return Math.min(Math.max(bytes, MIN_ARGUMENTS_BYTES), MAX_ARGUMENTS_BYTES);
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}

const POINTER_BYTES = 8;

/** With `=`, NUL and the pointer to it, which counts as well. */
function sizeOf(name: string, value: string): number {
  return utf8Length(name) + utf8Length(value) + 2 + POINTER_BYTES;
}
