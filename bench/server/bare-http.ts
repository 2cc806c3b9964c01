// Bare `node:http`: reads the request and answers bytes that it was given.

import { answerMessages, listenBare } from './bare-process.ts';

/** The body to answer at each path. */
export type Answers = Record<string, string>;

answerMessages<Answers>((answers) => {
  const bodies = new Map(Object.entries(answers).map(([path, body]) => [path, Buffer.from(body)]));
  return listenBare((request, response) => {
    const body = bodies.get(request.url ?? '');
    request.resume();
    request.on('end', () => {
      response.writeHead(body ? 200 : 404, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': body?.length ?? 0,
      });
      response.end(body);
    });
  });
});
