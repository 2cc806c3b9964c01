import { armor, Decrypter, Encrypter } from 'age-encryption';
import { InvalidArgument } from '../protocol/errors.ts';

/** Of age's scrypt: 2 to the power of it is the cost. */
export const WORK_FACTOR = 18;

/** A text under a passphrase: an age file in its armour, which `age --decrypt` opens too. */
export async function lock(content: string, passphrase: string, workFactor = WORK_FACTOR): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(workFactor);
  return armor.encode(await encrypter.encrypt(content));
}

/** @throws {InvalidArgument} when it is the wrong one, or the text damaged */
export async function unlock(locked: string, passphrase: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(armor.decode(locked), 'text');
  } catch {
    throw new InvalidArgument('the passphrase is wrong, or the key damaged');
  }
}
