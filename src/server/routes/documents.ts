import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { documentPage } from '../../pages/document.ts';
import { type DrawnPage, notice } from '../../pages/page.ts';
import { sendPage } from '../plugins/page-answers.ts';

/** The documents of this release, for anybody, at `/docs/NAME`; their pictures beside them. */
export function documentRoutes(app: FastifyInstance): void {
  const folder = documentFolder();
  const files = new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }));
  const drawn = new Map<string, DrawnPage>();

  app.get('/docs', async (_request, reply) => reply.redirect('/docs/user', 302));
  app.get<{ Params: { '*': string } }>('/docs/*', async (request, reply) => {
    const { '*': path } = request.params;
    const picture = PICTURES.get(extname(path));
    if (picture !== undefined && files.has(path))
      return sendPicture(reply, picture, await readFile(join(folder, path)));
    const name = path.replace(/\.md$/, '');
    const file = `${name}.md`;
    if (!files.has(file))
      return sendPage(reply, notice('No such page', 'There is no document here.', { status: 404, links: DOCUMENTS }));
    const page =
      drawn.get(name) ?? documentPage(await readFile(join(folder, file), 'utf8'), { name, siteName: app.siteName });
    drawn.set(name, page);
    return reply.headers(page.headers).send(page.html);
  });
}

const PICTURES = new Map([
  ['.svg', 'image/svg+xml'],
  ['.png', 'image/png'],
]);

const DOCUMENTS = [{ href: '/docs/user', text: 'To the documents' }];

/** In a source tree they lie at its root; in a package beside the bundle. */
function documentFolder(): string {
  const packaged = join(import.meta.dirname, 'docs');
  return existsSync(packaged) ? packaged : join(import.meta.dirname, '../../../docs');
}

/** A picture that was opened by itself has the rights of a picture. */
function sendPicture(reply: FastifyReply, type: string, picture: Buffer): FastifyReply {
  return reply
    .type(type)
    .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    .send(picture);
}
