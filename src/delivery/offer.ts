import type { SealingKey } from '../protocol/sealed.ts';
import { type DeliverySealer, deliverySealer } from '../sealing/delivery.ts';

/** The public keys to which a pilot asks for secrets, made for this one request. */
export interface Offer {
  keys: readonly SealingKey[];
  /** The pilot's session key signed the request that brought them, so nothing on the way can have put others in their place. */
  proven: boolean;
}

/** An offer to which this server can seal. */
export interface UsableOffer extends Offer {
  sealer: DeliverySealer;
}

/**
 * Looks at the offered keys before a job is given, which would fail for them.
 *
 * @throws {InvalidArgument} when none of them can be used
 */
export async function usableOffer(offer: Offer | undefined): Promise<UsableOffer | undefined> {
  return offer && { ...offer, sealer: await deliverySealer(offer.keys) };
}

/**
 * The one rule of who may have secrets: a pilot that proves the keys that it offers to be its own, or any pilot of a queue that
 * gives secrets over TLS alone. A key that nothing proves is no better than TLS alone: the end of TLS may have put it there.
 */
export function mayHaveSecrets(queue: { allowTlsSecrets: boolean } | undefined, offer: Offer | undefined): boolean {
  return offer?.proven === true || queue?.allowTlsSecrets === true;
}
