import { createHash } from 'node:crypto';
import { type Html, html } from './html.ts';

/** The parts of an OpenAPI document that the page shows. */
export interface OpenApiDocument {
  info: { title: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
}

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { name: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: { content: Content };
  responses?: Record<string, { content?: Content }>;
  /** PanDA has the call too. */
  'x-panda'?: boolean;
}

type Content = Record<string, { schema?: Schema }>;

interface Schema {
  type?: string;
  enum?: unknown[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  const?: unknown;
}

/** The document for people: one page without JavaScript, and nothing from any other place. */
export function openApiPage(document: OpenApiDocument): { text: string; policy: string } {
  const groups = new Map<string, Html[]>();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const [group = 'other'] = operation.tags ?? [];
      groups.set(group, [...(groups.get(group) ?? []), call(path, method.toUpperCase(), operation)]);
    }
  }
  const names = [...groups.keys()].sort();
  const { text } = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${document.info.title}: the API</title>
<style>${{ text: STYLE }}</style>
</head>
<body>
<header>
<h1>${document.info.title}: the API</h1>
<p>${document.info.description}</p>
<p>Every call answers <code>{"success": …, "message": …, "data": …}</code> with HTTP status 200, errors included (files are
answered as they are), and needs
<code>Authorization: Bearer TOKEN</code>. For programs: <a href="openapi.json">openapi.json</a>.</p>
<nav aria-label="Groups of calls">${names.map((name) => html`<a href="#${name}">${name}</a> `)}</nav>
</header>
<main>
${names.map((name) => html`<section id="${name}"><h2>${name}</h2>${groups.get(name) ?? []}</section>`)}
</main>
</body>
</html>
`;
  const digest = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { text, policy };
}

function call(path: string, method: string, operation: Operation): Html {
  const rows = argumentsOf(operation);
  const where = whereArgumentsAre(operation);
  return html`<details>
<summary><span class="method ${method.toLowerCase()}">${method}</span> <code>${path.replace('/api/v1/', '')}</code>
<span class="what">${operation.summary}</span>${operation['x-panda'] === false && html` <span class="own">extension</span>`}</summary>
<p><code>${method} ${path}</code>${where && `: ${where}`}.</p>
${rows.length > 0 ? table('argument', rows) : html`<p class="none">No arguments.</p>`}
${answerOf(operation)}
</details>`;
}

function table(what: string, rows: readonly Html[]): Html {
  return html`<table><thead><tr><th scope="col">${what}</th><th scope="col">type</th><th scope="col"></th></tr></thead>
<tbody>${rows}</tbody></table>`;
}

function whereArgumentsAre({ parameters = [], requestBody }: Operation): string {
  const body = Object.keys(requestBody?.content ?? {})[0] ?? JSON_BODY;
  const where = parameters.length > 0 ? 'arguments in the query string; a list is its name repeated' : '';
  if (body !== JSON_BODY) return [where, `the body is ${body}`].filter(Boolean).join('; ');
  return requestBody ? 'arguments in a JSON body' : where;
}

const JSON_BODY = 'application/json';

/** The rows of an object that is answered, or of those in a list. */
function answerOf({ responses }: Operation): Html {
  const content = responses?.['200']?.content ?? {};
  const [success] = content[JSON_BODY]?.schema?.anyOf ?? [];
  if (!success) return html`<p>Answers ${Object.keys(content)[0]}.</p>`;
  const data = success.properties?.['data'] ?? {};
  const element = elementOf(data);
  const rows = Object.entries(element.properties ?? {}).map(([name, schema]) =>
    row(name, schema, element.required?.includes(name)),
  );
  const more = element.description ?? data.description;
  return html`<p>Answers in <code>data</code>: ${typeOf(data)}${more !== undefined && html` (${more})`}.</p>
${rows.length > 0 && table('answer', rows)}`;
}

function elementOf(schema: Schema): Schema {
  const inside = schema.items ?? schema.anyOf?.find(({ properties }) => properties);
  return inside ? { ...(schema.description && { description: schema.description }), ...elementOf(inside) } : schema;
}

function argumentsOf({ parameters = [], requestBody }: Operation): Html[] {
  const inQuery = parameters.map(({ name, required, description, schema = {} }) =>
    row(name, { ...schema, ...(description !== undefined && { description }) }, required),
  );
  const [body] = Object.values(requestBody?.content ?? {});
  const { properties = {}, required = [] } = body?.schema ?? {};
  return [
    ...inQuery,
    ...Object.entries(properties).map(([name, schema]) => row(name, schema, required.includes(name))),
  ];
}

function row(name: string, schema: Schema, required = false): Html {
  return html`<tr><th scope="row"><code>${name}</code></th><td>${typeOf(schema)}${required && html` <b>required</b>`}</td>
<td>${schema.description}</td></tr>`;
}

function typeOf({ type, items, anyOf, enum: words, const: constant }: Schema): string {
  if (constant !== undefined) return JSON.stringify(constant);
  if (words) return words.map((word) => JSON.stringify(word)).join(' or ');
  if (anyOf) return anyOf.map(typeOf).join(' or ');
  if (type === 'array') return `list of ${typeOf(items ?? {})}`;
  return type ?? 'any';
}

const STYLE = `
:root { color-scheme: light dark; --page: #eef1f5; --card: #fff; --text: #18202b; --quiet: #556172; --line: #cfd6e0; --accent: #1f5fd0; --get: #17693c; --post: #8a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --page: #10151c; --card: #19212c; --text: #e8edf4; --quiet: #a3b0c0; --line: #374353; --accent: #7fb0ff; --get: #7fdca6; --post: #ffc27a; }
}
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; scroll-behavior: smooth; }
body { max-width: 60rem; margin: 0 auto; padding: 24px 16px 64px; background: var(--page); color: var(--text); }
h1 { margin: 0 0 4px; font-size: 1.75rem; letter-spacing: -.01em; }
h2 { margin: 36px 0 10px; font-size: 1.15rem; }
p { margin: 0 0 12px; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0 0; }
nav a { padding: 4px 12px; border: 1px solid var(--line); border-radius: 999px; background: var(--card); text-decoration: none; }
code { font: .9em ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
details { margin: 0 0 8px; padding: 0 14px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
details[open] { padding-bottom: 12px; }
summary { padding: 10px 0; cursor: pointer; }
summary code { font-weight: 650; }
.method { display: inline-block; min-width: 3.2rem; font: 700 .75rem/1 ui-monospace, monospace; }
.get { color: var(--get); }
.post { color: var(--post); }
.what, .none { color: var(--quiet); }
.own { margin-left: 6px; padding: 1px 8px; font-size: .75rem; color: var(--accent); border: 1px solid currentColor; border-radius: 999px; white-space: nowrap; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { padding: 6px 12px 6px 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { color: var(--quiet); font-weight: 600; font-size: .8125rem; border-top: 0; }
tbody th { font-weight: 500; }
b { color: var(--accent); font-size: .8125rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
`;
