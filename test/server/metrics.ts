import type { TestServer } from './start.ts';

/** One line of Prometheus's text format. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Samples {
  text: string;
  samples: Sample[];
}

/** All metrics of a server, as Prometheus gets them. */
export async function samplesAt({ metricsUrl }: Pick<TestServer, 'metricsUrl'>): Promise<Samples> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return { text, samples: lines.map(parseSample) };
}

function parseSample(line: string): Sample {
  const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === '') throw new Error(`no sample: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', text = '']) => [label, text]);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

/** The sample of that name that has these labels, maybe among others. */
export function sample({ samples }: Samples, name: string, labels: Record<string, string> = {}): Sample | undefined {
  return samples.find(
    (one) => one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  );
}

/** Its value. @throws where there is none */
export function valueAt(samples: Samples, name: string, labels: Record<string, string> = {}): number {
  const found = sample(samples, name, labels);
  if (!found) throw new Error(`no ${name} ${JSON.stringify(labels)}`);
  return found.value;
}
