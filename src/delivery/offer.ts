import type { SealingKey } from '../protocol/sealed.ts';

/** The public keys to which a pilot asks for secrets, made for this one request. */
export interface Offer {
  keys: readonly SealingKey[];
  /** The pilot's session key signed the request that brought them, so nothing on the way can have put others in their place. */
  proven: boolean;
}

/**
 * The one rule of who may have secrets: a pilot that proves the keys that it offers to be its own, or any pilot of a queue that
 * gives secrets over TLS alone. A key that nothing proves is no better than TLS alone: the end of TLS may have put it there.
 */
export function mayHaveSecrets(queue: { allowTlsSecrets: boolean } | undefined, offer: Offer | undefined): boolean {
  return offer?.proven === true || queue?.allowTlsSecrets === true;
}
