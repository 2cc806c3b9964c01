import { hasLineEnd, takeApart } from '../../src/masking/parts.ts';
import type { MaskChoice } from '../../src/protocol/secret-attributes.ts';

/** The texts and bytes that are to be hidden of a value. */
export function maskableParts(value: string, choice: MaskChoice = 'parts'): (string | Uint8Array)[] {
  return takeApart(value, choice).hidden.map(({ part }) => part);
}

/** True when a line of a log can show something of the value that is hidden. */
export function isMaskable(value: string): boolean {
  return maskableParts(value).some((part) => typeof part === 'string' && !hasLineEnd(part));
}
