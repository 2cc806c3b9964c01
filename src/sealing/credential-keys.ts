import { credentialName, credentialPath, readCredential } from '../files/credential.ts';
import { stampOf } from '../files/file-stamp.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { parseKeyFile, providerOf } from './key-file.ts';
import type { RootKeyPlaces } from './root-keys.ts';

const FORM = 'credential:NAME';
const USE = 'the root keys are';

/**
 * A key file that the service manager hands to the server alone (`LoadCredential=`, systemd.exec(5)): root keeps it where the server's user cannot
 * read, encrypted under the machine's TPM perhaps. It is read only; what it is made of is its keeper's to change.
 */
export const credentialKeys: RootKeyPlaces = {
  form: FORM,
  canonical: (uri) => `credential:${nameOf(uri)}`,
  async open(uri) {
    const name = nameOf(uri);
    return providerOf(parseKeyFile(parsed(await readCredential(name, USE), name), `of the credential ${name}`));
  },
  async add() {
    throw new Misconfigured(
      'a credential is read only: add a key in another place ("panda-secrets keys add file:/PATH"), or make the file anew that the credential is made of',
    );
  },
  async retire(uri) {
    return `the file that the credential ${nameOf(uri)} is made of: take it out there`;
  },
  fileOf: () => undefined,
  stamp: (uri) => stampOf(credentialPath(nameOf(uri), USE)),
};

function nameOf(uri: string): string {
  return credentialName(uri.slice(uri.indexOf(':') + 1), `root keys (${FORM})`);
}

/** The parser's own error would quote the text, which is keys. */
function parsed(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Misconfigured(`the credential ${name} is not a root key file: it is not JSON`);
  }
}
