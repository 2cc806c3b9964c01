import type { SealedSecrets } from '../../src/protocol/calls/pilot.ts';
import type { DeliveryContext, SealingKey } from '../../src/protocol/sealed.ts';
import { deliverySealer } from '../../src/sealing/delivery.ts';

/** Seals one delivery as a server does, in the newest format that the offers know. */
export async function sealDelivery(
  offers: readonly SealingKey[],
  context: DeliveryContext,
  plaintext: Uint8Array,
): Promise<SealedSecrets> {
  return (await deliverySealer(offers)).seal(context, plaintext);
}

/** The same offers, as a pilot of an earlier release makes them: it opens format 1 alone. */
export function ofEarlierPilot(offers: readonly SealingKey[]): SealingKey[] {
  return offers.map(({ kem, public_key }) => ({ kem, public_key }));
}
