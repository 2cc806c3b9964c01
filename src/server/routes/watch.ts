import type { FastifyInstance, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of who watches the server, and makes no call. */
    isWatch?: true;
  }
}

const OF_WATCHERS = { config: { isWatch: true } } as const;

/** What those who watch the server ask for. */
export interface Watched {
  /** Why the server should get no requests now, undefined when it may; in at most two seconds. */
  notReady(): Promise<string | undefined>;
  /** Left out where metrics are told elsewhere, or nowhere. */
  metrics?: (() => Promise<{ contentType: string; text: string }>) | undefined;
}

/**
 * `/healthz`: the process answers. `/readyz`: it can do its work, or 503 and why not, in one word. `/metrics`: for Prometheus. For anybody
 * who reaches the address, on any line: no name is in any of them, and they are as cheap when asked often. They are not logged or counted.
 */
export function watchRoutes(app: FastifyInstance, { notReady, metrics }: Watched): void {
  // A message may tell of files.
  app.setErrorHandler((_error, _request, reply) =>
    reply.code(500).type('application/json').send('{"status":"failed"}'),
  );
  app.get('/healthz', OF_WATCHERS, async (_request, reply) => reply.type('application/json').send('{"status":"ok"}'));
  app.get('/readyz', OF_WATCHERS, async (_request, reply) => {
    const reason = await notReady();
    const answer = reason === undefined ? { ready: true } : { ready: false, reason };
    return reply
      .code(reason === undefined ? 200 : 503)
      .type('application/json')
      .send(JSON.stringify(answer));
  });
  if (!metrics) return;
  app.get('/metrics', OF_WATCHERS, async (_request, reply) => {
    const { contentType, text } = await metrics();
    return reply.type(contentType).send(text);
  });
}

/** For the hooks that log, count or trace calls: those of the whole server are called for these requests as well. */
export function isWatching({ routeOptions: { config } }: FastifyRequest): boolean {
  return config?.isWatch === true;
}
