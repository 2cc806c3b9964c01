import { InvalidArgument } from './errors.ts';

/**
 * The treatment of an output of a job that holds values of the job's secrets: `warn`, it is told; `hold`, the output is not uploaded as
 * well; `fail`, the job fails and uploads none.
 */
export const LEAKED_OUTPUTS = ['warn', 'hold', 'fail'] as const;
export type LeakedOutputs = (typeof LEAKED_OUTPUTS)[number];

/** @param where the argument, for the message. @throws {InvalidArgument} */
export function parseLeakedOutputs(word: string, where: string): LeakedOutputs {
  const known = LEAKED_OUTPUTS.find((each) => each === word);
  if (known) return known;
  throw new InvalidArgument(`${where}: must be one of ${LEAKED_OUTPUTS.join(', ')}, not "${word.slice(0, 32)}"`);
}
