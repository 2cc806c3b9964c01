import { gzipSync } from 'node:zlib';
import { Header } from 'tar';

/** One entry of an archive, also of kinds that no honest program makes. */
export interface Entry {
  path: string;
  content?: string;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'FIFO' | 'CharacterDevice';
  linkpath?: string;
  mode?: number;
  /** The size in the header, when not the content's. */
  size?: number;
}

/** A .tar.gz with exactly these entries, byte by byte. */
export function archive(...entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = '', type = 'File', linkpath, mode = 0o644, size }) => {
    const body = Buffer.from(content);
    const head = Buffer.alloc(512);
    new Header({
      path,
      type,
      mode,
      size: size ?? body.length,
      mtime: new Date(0),
      ...(linkpath ? { linkpath } : {}),
    }).encode(head);
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}
