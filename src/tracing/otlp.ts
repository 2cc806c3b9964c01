import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { TRACES_FLUSH_SECONDS } from '../protocol/limits.ts';
import { VERSION } from '../protocol/version.ts';
import type { TraceSettings } from './trace-settings.ts';
import type { Tracing } from './tracing.ts';

/**
 * Spans that go to a collector by OTLP. What it does not take is dropped: no request waits for it. Loaded only where traces are on: its
 * libraries are large.
 */
export function startTracing(settings: TraceSettings): Tracing {
  const resource = { ...settings.resource, 'service.name': settings.serviceName, 'service.version': VERSION };
  const exporter = new OTLPTraceExporter();
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: samplerOf(settings),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: settings.delay })],
  });
  const tracer = provider.getTracer('panda-secrets', VERSION);
  const current = new AsyncLocalStorage<Context>();

  function below(name: string, startTime?: number): Span | undefined {
    const context = current.getStore();
    return context && tracer.startSpan(name, { kind: SpanKind.INTERNAL, ...(startTime && { startTime }) }, context);
  }

  return {
    begin(traceparent) {
      // `tracestate` has texts of the caller's, and is left alone.
      const caller = traceparent === undefined ? null : parseTraceParent(traceparent);
      const parent = caller ? trace.setSpanContext(ROOT_CONTEXT, { ...caller, isRemote: true }) : ROOT_CONTEXT;
      const span = tracer.startSpan('call', { kind: SpanKind.SERVER }, parent);
      const context = trace.setSpan(parent, span);
      return {
        run: (work) => current.run(context, work),
        end({ call, method, status, outcome }) {
          span.updateName(call);
          span.setAttributes({
            'http.request.method': METHODS.has(method) ? method : '_OTHER',
            'http.response.status_code': status,
            'panda_secrets.outcome': outcome,
          });
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },

    async step(name, work) {
      const context = current.getStore();
      const span = below(name);
      if (!context || !span) return work();
      try {
        return await current.run(trace.setSpan(context, span), work);
      } catch (error) {
        // Without its message, which may quote what it choked on.
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },

    ended(name, seconds, ok) {
      const span = below(name, Date.now() - seconds * 1000);
      if (!ok) span?.setStatus({ code: SpanStatusCode.ERROR });
      span?.end();
    },

    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, TRACES_FLUSH_SECONDS * 1000);
      });
      await Promise.race([provider.shutdown().catch(() => {}), late]);
      clearTimeout(timer);
    },
  };
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function samplerOf({ sampler, ratio }: TraceSettings): Sampler {
  const root = sampler.endsWith('always_off')
    ? new AlwaysOffSampler()
    : sampler.endsWith('always_on')
      ? new AlwaysOnSampler()
      : new TraceIdRatioBasedSampler(ratio);
  return sampler.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}
