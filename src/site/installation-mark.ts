import { join } from 'node:path';
import { type PrivateFile, privateFile } from '../files/private-file.ts';
import { Misconfigured } from '../protocol/errors.ts';

const FILE_FORMAT = 1;

/** The note of a data folder of which installation it is, so that no other database is taken for that one's. */
export interface InstallationMark {
  /** The id of the installation's key. */
  id: string;
}

/** Also the sign that an installation was made in this folder. */
export function installationMark(data: string): PrivateFile<InstallationMark> {
  const path = join(data, 'installation.json');
  return privateFile({
    path,
    name: 'installation file',
    ifExposed: '',
    parse: (json) => {
      const { format, id } = Object(json) as Record<string, unknown>;
      if (format === FILE_FORMAT && typeof id === 'string') return { format, id };
      throw new Misconfigured(
        `${path} is not the file of an installation, or was damaged; put it back from its safe copy`,
      );
    },
  });
}

export function newMark(id: string): InstallationMark & { format: typeof FILE_FORMAT } {
  return { format: FILE_FORMAT, id };
}
