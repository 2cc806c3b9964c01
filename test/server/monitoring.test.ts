import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { LABEL_VALUES } from '../../src/metrics/labels.ts';
import { samplesAt } from './metrics.ts';
import { startServer } from './start.ts';

const folder = join(import.meta.dirname, '../../packaging/monitoring');
const rulesFile = join(folder, 'panda-secrets.rules.yml');

interface Rules {
  groups: { name: string; rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[];
}

interface Dashboard {
  panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
}

/** Each expression of the alerts and of the dashboard, by where it stands. */
function expressions(): Map<string, string> {
  const { groups } = parse(readFileSync(rulesFile, 'utf8')) as Rules;
  const { panels } = JSON.parse(readFileSync(join(folder, 'panda-secrets.dashboard.json'), 'utf8')) as Dashboard;
  return new Map([
    ...groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)),
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, legendFormat }) => [`${title}: ${legendFormat}`, expr] as const),
    ),
  ]);
}

/** The names under which a server's metrics can be asked for. */
async function askable(t: TestContext): Promise<Set<string>> {
  const server = await startServer(t, { settings: { metricsListen: 'public' } });
  const { text } = await samplesAt(server);
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test('alerts and the dashboard name metrics that there are, and the dashboard shows each one', async (t) => {
  const there = await askable(t);
  const asked = new Set<string>();
  for (const [place, expr] of expressions()) {
    const names = expr.match(/\b(panda_secrets|nodejs|process)_\w+/g) ?? [];
    assert.ok(names.length > 0 || /^up\{/.test(expr), place);
    for (const name of names) {
      assert.ok(there.has(name), `${place}: ${name}`);
      asked.add(name.replace(/_(bucket|sum|count)$/, ''));
    }
  }
  const own = [...there].filter((name) => name.startsWith('panda_secrets_'));
  const missing = own.map((name) => name.replace(/_(bucket|sum|count)$/, '')).filter((name) => !asked.has(name));
  assert.deepEqual(missing, []);
});

test('alerts and the dashboard compare labels with values that they may have', () => {
  let compared = 0;
  for (const [place, expr] of expressions()) {
    for (const [, label = '', value = ''] of expr.matchAll(/[{,](\w+)=~?"([^"]*)"/g)) {
      if (['job', 'instance', 'call'].includes(label)) continue;
      assert.ok(label in LABEL_VALUES, `${place}: ${label}`);
      const known: readonly string[] = LABEL_VALUES[label as keyof typeof LABEL_VALUES];
      for (const one of value.split('|')) assert.ok(known.includes(one), `${place}: ${label}="${one}"`);
      compared += 1;
    }
  }
  assert.ok(compared > 5);
});

test("promtool takes the alerts' file", (t) => {
  const { status, error, stdout, stderr } = spawnSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' });
  if (error) {
    t.skip('promtool is not installed here (apt install prometheus)');
    return;
  }
  assert.equal(status, 0, stdout + stderr);
});
