import { Misconfigured } from '../protocol/errors.ts';

/** How spans are made, by OpenTelemetry's standard variables. Where they go the exporter reads by itself: `OTEL_EXPORTER_OTLP_...`. */
export interface TraceSettings {
  serviceName: string;
  /** Further attributes of the server, `NAME=VALUE` with commas, percent-encoded. */
  resource: Record<string, string>;
  sampler: Sampler;
  /** The share of requests that are traced, 0 to 1, for the samplers that take one. */
  ratio: number;
  /** Milliseconds that spans are collected before they are sent together. */
  delay: number;
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
type Sampler = (typeof SAMPLERS)[number];

const DELAY_MILLISECONDS = 5000;
const MAX_DELAY_MILLISECONDS = 3600_000;

/**
 * Undefined where nobody asked for traces: they are on where `OTEL_TRACES_EXPORTER` is `otlp`, or an endpoint is named and it is not set.
 *
 * @throws {Misconfigured} naming the variable that asks for what is not here
 */
export function readTraceSettings(environment: NodeJS.ProcessEnv): TraceSettings | undefined {
  const set = (name: string) => environment[name]?.trim() || undefined;
  if (set('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined;
  const endpoint = set('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? set('OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = set('OTEL_TRACES_EXPORTER') ?? (endpoint ? 'otlp' : 'none');
  if (exporter === 'none') return undefined;
  if (exporter !== 'otlp') throw unknown('OTEL_TRACES_EXPORTER', ['otlp', 'none']);
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    if ((set(name) ?? PROTOCOL) !== PROTOCOL) throw unknown(name, [PROTOCOL]);
  }
  if (endpoint && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? '')) {
    throw new Misconfigured('the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT must be a URL: http://HOST:4318');
  }
  const sampler = (set('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on') as Sampler;
  if (!SAMPLERS.includes(sampler)) throw unknown('OTEL_TRACES_SAMPLER', SAMPLERS);
  return {
    serviceName: set('OTEL_SERVICE_NAME') ?? 'panda-secrets',
    resource: attributesOf(set('OTEL_RESOURCE_ATTRIBUTES') ?? ''),
    sampler,
    ratio: numberOf('OTEL_TRACES_SAMPLER_ARG', set('OTEL_TRACES_SAMPLER_ARG') ?? '1', 1),
    delay: numberOf(
      'OTEL_BSP_SCHEDULE_DELAY',
      set('OTEL_BSP_SCHEDULE_DELAY') ?? String(DELAY_MILLISECONDS),
      MAX_DELAY_MILLISECONDS,
    ),
  };
}

const PROTOCOL = 'http/protobuf';

function unknown(name: string, known: readonly string[]): Misconfigured {
  return new Misconfigured(`${name} must be ${known.join(', ')}: this server sends traces in no other way`);
}

function numberOf(name: string, given: string, most: number): number {
  const number = Number(given);
  if (number >= 0 && number <= most) return number;
  throw new Misconfigured(`${name} must be a number from 0 to ${most}`);
}

function attributesOf(given: string): Record<string, string> {
  const pairs = given.split(',').filter((pair) => pair.trim() !== '');
  try {
    return Object.fromEntries(
      pairs.map((pair) => {
        const [name = '', ...value] = pair.split('=');
        return [name.trim(), decodeURIComponent(value.join('=').trim())];
      }),
    );
  } catch {
    throw new Misconfigured('OTEL_RESOURCE_ATTRIBUTES must be NAME=VALUE with commas between, percent-encoded');
  }
}
