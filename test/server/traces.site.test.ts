import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { readTraceSettings } from '../../src/tracing/trace-settings.ts';
import { startSite } from '../end-to-end/site.ts';
import { untilAnswer } from '../patience.ts';

const MARK = 'mark9c1e';

/** A collector that takes traces by OTLP, and keeps every byte. */
async function startCollector(t: TestContext) {
  const requests: Buffer[] = [];
  const server = createServer(async (request, answer) => {
    const line = `${request.method} ${request.url} ${JSON.stringify(request.headers)}\n`;
    requests.push(Buffer.concat([Buffer.from(line), await buffer(request)]));
    answer.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => Buffer.concat(requests),
  };
}

test('spans tell calls and what they wait for, below the caller, and hold nothing that was sent', async (t) => {
  const collector = await startCollector(t);
  const settings = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_SERVICE_NAME: 'site-a',
  };
  const site = await startSite(t, { settings });
  const user = await site.user(`alice-${MARK}`);
  assert.equal((await user.pbook('set_secret', `KEY_${MARK}`, `value-${MARK}`)).status, 0);
  const submitted = await user.prun('--exec', `echo ${MARK}`, '--outDS', `user.alice-${MARK}.test1`, '--useSecrets');
  assert.equal(submitted.status, 0, submitted.stderr);
  await site.pilot({ jobs: 1 });

  const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
  const headers = {
    authorization: `Bearer ${user.token}`,
    traceparent: `00-${trace}-${span}-01`,
    tracestate: `a=${MARK}`,
    baggage: `b=${MARK}`,
    'user-agent': MARK,
  };
  for (const path of [`creds/get_user_secrets?keys=KEY_${MARK}`, `${MARK}`, `creds/get_user_secrets?${MARK}=1`]) {
    await fetch(`${site.url}/api/v1/${path}`, { headers });
  }
  const wanted = [
    ...['POST /v1/traces', 'site-a', 'creds/set_user_secrets', 'creds/get_user_secrets', 'task/submit', 'store.write'],
    ...['delivery', 'root_key', 'ERR_UNKNOWN_CALL'],
  ].map((text) => Buffer.from(text));
  wanted.push(Buffer.from(trace, 'hex'), Buffer.from(span, 'hex'));
  await untilAnswer(async () => wanted.filter((text) => !collector.received().includes(text)).join(), '');

  const bytes = collector.received();
  const [, , signature = ''] = user.token.split('.');
  for (const text of [MARK, signature]) {
    for (const encoded of [
      text,
      Buffer.from(text).toString('base64').slice(0, -2),
      Buffer.from(text).toString('hex'),
    ]) {
      assert.ok(!bytes.includes(encoded), encoded);
    }
  }
});

test('a collector that is away delays neither calls nor the end of the server', async (t) => {
  const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_BSP_SCHEDULE_DELAY: '10' };
  const site = await startSite(t, { settings });
  const user = await site.user('alice');
  for (let n = 0; n < 5; n++) assert.equal((await user.pbook('set_secret', 'KEY', `value ${n}`)).status, 0);
  assert.doesNotMatch(site.serverOutput(), /"level":50/);
});

test("traces are off unless OpenTelemetry's variables turn them on", async (t) => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  assert.equal(readTraceSettings({}), undefined);
  assert.equal(readTraceSettings({ OTEL_SERVICE_NAME: 'a' }), undefined);
  assert.equal(readTraceSettings({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), undefined);
  assert.equal(readTraceSettings({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), undefined);
  assert.equal(readTraceSettings({ OTEL_TRACES_EXPORTER: 'otlp' })?.serviceName, 'panda-secrets');
  assert.deepEqual(readTraceSettings({ ...endpoint, OTEL_RESOURCE_ATTRIBUTES: 'a=b%20c,d=e' })?.resource, {
    a: 'b c',
    d: 'e',
  });
  const collector = await startCollector(t);
  const settings = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '10',
    OTEL_SDK_DISABLED: 'true',
  };
  const site = await startSite(t, { settings });
  await (await site.user('alice')).pbook('list_secrets');
  assert.equal(collector.received().length, 0);
});

test('what this server cannot do is named, with the variable that asks for it', () => {
  for (const [name, value] of [
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector'],
  ] as const) {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', [name]: value };
    assert.throws(() => readTraceSettings(environment), { code: 'ERR_MISCONFIGURED', message: new RegExp(name) });
  }
});
