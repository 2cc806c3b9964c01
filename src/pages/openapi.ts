import { exampleOf, type Schema } from './examples.ts';
import { type Html, html } from './html.ts';
import { inlineMarkdown } from './markdown.ts';
import type { DrawnPage } from './page.ts';
import { drawReading } from './reading.ts';

/** The parts of an OpenAPI document that the page shows. */
export interface OpenApiDocument {
  info: { title: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
}

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { name: string; required?: boolean; description?: string; example?: unknown; schema?: Schema }[];
  requestBody?: { content: Content };
  responses?: Record<string, { content?: Content }>;
  /** PanDA has the call too. */
  'x-panda'?: boolean;
  /** Whose token it needs. */
  'x-caller'?: CallerKind;
}

/** Who may make a call: anybody, or the holder of a token of that kind, or of any. */
export type CallerKind = 'none' | 'user' | 'pilot' | 'operator' | 'launcher' | 'any';

type Content = Record<string, { schema?: Schema }>;

/** A call, as the page knows it. */
interface Described {
  group: string;
  /** `GROUP/NAME`. */
  path: string;
  method: string;
  operation: Operation;
  arguments: Argument[];
}

interface Argument {
  name: string;
  schema: Schema;
  required: boolean;
}

/** So many calls of an answer to a search are shown open. */
const MAX_OPEN = 5;

/**
 * The document for people: one page without JavaScript, and nothing from any other place. What a call looks like is made once, and not for
 * each reader.
 */
export function createApiPage(
  document: OpenApiDocument,
  siteName: string,
): (options: {
  /** The server's public address, for the lines to copy. */
  origin: string;
  /** Words that a call must have all of; every call without any. */
  search?: string;
}) => DrawnPage {
  const all = callsOf(document).map((call) => ({ ...call, text: textOf(call), inside: inside(call) }));
  return ({ origin, search = '' }) => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter(({ text }) => words.every((word) => text.includes(word)));
    const open = words.length > 0 && found.length <= MAX_OPEN;
    const groups = Map.groupBy(found, ({ group }) => group);
    return drawReading(
      {
        title: 'The API',
        navigation: html`<nav aria-label="Calls">${[...groups].map(
          ([group, calls]) => html`<section><a class="group" href="#${group}">${group}</a>
<ul>${calls.map((call) => html`<li><a href="#${idOf(call)}">${nameOf(call)}</a></li>`)}</ul></section>`,
        )}</nav>`,
        content: html`<h1>The API</h1>
<p>${document.info.description} For programs: <a href="/api/v1/openapi.json">openapi.json</a>.</p>
<form class="search" method="get" action="/api/v1/docs" role="search"><label for="q">Search the calls</label>
<div><input id="q" name="q" type="search" value="${search}" maxlength="100" placeholder="secret version"><button type="submit">Search</button></div></form>
${words.length > 0 && html`<p role="status">${counted(found.length)} with “${search}”. <a href="/api/v1/docs">Show all ${all.length}</a></p>`}
${words.length === 0 && howTo(origin)}
${[...groups].map(
  ([group, calls]) =>
    html`<section id="${group}"><h2>${group}</h2>${calls.map(
      (call) => html`<details id="${idOf(call)}"${open && html` open`}>${call.inside}</details>`,
    )}</section>`,
)}`,
      },
      siteName,
    );
  };
}

function counted(calls: number): string {
  return calls === 1 ? '1 call' : `${calls === 0 ? 'No' : calls} calls`;
}

function howTo(origin: string): Html {
  return html`<h2>How calls work</h2>
<p>A <code>GET</code> has its arguments in the query string, where a list is its name repeated; a <code>POST</code> has them in a JSON body.
Every call answers</p>
<pre tabindex="0" aria-label="The form of every answer"><code>{"success": true, "message": "", "data": …}</code></pre>
<p>with HTTP status 200, also when it refuses: then <code>success</code> is false and <code>message</code> says why. Files are answered
as they are. While the server cannot do its work for now the status is 503.</p>
<h2>Who calls</h2>
<p>A token goes with each call, in the header <code>Authorization: Bearer TOKEN</code>. After <code>pbook login</code> yours is the
<code>id_token</code> in <code>~/.pathena/.token</code>; an operator makes one for a script with <code>panda-secrets token NAME</code>.
The lines below read the header from a file, so that no other user of the machine sees the token in the list of processes:</p>
<pre tabindex="0" aria-label="How the header file is made"><code>export SERVER=${origin}
(umask 077; echo "Authorization: Bearer $PANDA_AUTH_ID_TOKEN" > ~/.panda-header)</code></pre>`;
}

function callsOf(document: OpenApiDocument): Described[] {
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      group: operation.tags?.[0] ?? 'other',
      path: path.replace('/api/v1/', ''),
      method: method.toUpperCase(),
      operation,
      arguments: argumentsOf(operation),
    })),
  );
  return calls.sort((a, b) => placeOf(a) - placeOf(b));
}

/** The groups that most people come for are first; others stand after them. */
const ORDER = ['creds', 'task', 'job', 'file_server', 'login', 'system', 'admin', 'pilot'];

function placeOf({ group }: Described): number {
  return ORDER.includes(group) ? ORDER.indexOf(group) : ORDER.length;
}

/** All that a search looks at. */
function textOf({ path, operation, arguments: args }: Described): string {
  const pieces = args.flatMap(({ name, schema }) => [name, schema.description]);
  return [path, operation.summary, CALLERS[operation['x-caller'] ?? 'any'], ...pieces].join(' ').toLowerCase();
}

function idOf({ path, method }: Described): string {
  return `${method.toLowerCase()}-${path.replace('/', '-')}`;
}

function nameOf({ path }: Described): string {
  return path.split('/')[1] ?? path;
}

/** The call, without the frame that is open or closed. */
function inside(call: Described): Html {
  const { path, method, operation, arguments: args } = call;
  const caller = operation['x-caller'] ?? 'any';
  return html`<summary><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code>
<span class="what">${inlineMarkdown(operation.summary ?? '')}</span>${caller === 'none' && html` <span class="mark">no token</span>`}${operation['x-panda'] === false && html` <span class="mark">extension</span>`}</summary>
<p>${CALLERS[caller]} <a href="#${idOf(call)}">Link to this call</a></p>
<h3>Arguments${where(operation)}</h3>
${args.length > 0 ? table('argument', args.map(row)) : html`<p>None.</p>`}
<h3>Line to copy</h3>
<pre class="copy" tabindex="0" aria-label="A curl line"><code>${curlOf(call)}</code></pre>
${answerOf(operation)}`;
}

const CALLERS: Record<CallerKind, string> = {
  none: 'Needs no token.',
  user: "Needs a user's token.",
  pilot: 'Is for pilots: one that joined signs each request; others bring a token.',
  operator: "Needs an operator's token.",
  launcher: "Needs a launcher's token.",
  any: "Needs a token, a user's or a pilot's.",
};

function table(what: string, rows: readonly Html[]): Html {
  return html`<div class="table" tabindex="0" role="group" aria-label="${what}s"><table><thead><tr><th scope="col">${what}</th><th scope="col">type</th><th scope="col">meaning</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function row({ name, schema, required }: Argument): Html {
  return html`<tr><th scope="row"><code>${name}</code>${required && html` <span class="required">required</span>`}</th><td>${typeOf(schema)}</td>
<td>${inlineMarkdown(descriptionOf(schema) ?? '')}</td></tr>`;
}

const JSON_BODY = 'application/json';

function bodyOf({ requestBody }: Operation): string | undefined {
  return Object.keys(requestBody?.content ?? {})[0];
}

function where(operation: Operation): string {
  const body = bodyOf(operation);
  if (body === JSON_BODY) return ', in a JSON body';
  const query = (operation.parameters ?? []).length > 0 ? ', in the query string' : '';
  return body === undefined ? query : `${query}; the body is ${body}`;
}

function argumentsOf({ parameters = [], requestBody }: Operation): Argument[] {
  const inQuery = parameters.map(({ name, required = false, description, example, schema = {} }) => ({
    name,
    required,
    schema: {
      ...schema,
      ...(description !== undefined && { description }),
      ...(example !== undefined && { examples: [example] }),
    },
  }));
  const content = requestBody?.content ?? {};
  const { properties = {}, required = [] } = content[JSON_BODY]?.schema ?? {};
  const inBody = Object.entries(properties).map(([name, schema]) => ({
    name,
    schema,
    required: required.includes(name),
  }));
  return [...inQuery, ...inBody];
}

/** The call with its required arguments, as it is typed to a shell. */
function curlOf({ path, operation, arguments: args }: Described): string {
  const needed = args.filter(({ required }) => required).map(({ name, schema }) => [name, exampleOf(schema)] as const);
  const body = bodyOf(operation);
  const header = operation['x-caller'] === 'none' ? '' : ' -H @$HOME/.panda-header';
  const address = `$SERVER/api/v1/${path}`;
  const output = operation.responses?.['200']?.content?.['application/octet-stream'] ? ' -o FILE' : '';
  const query = needed.map(([name, value]) => `${name}=${encodeURIComponent(textValue(value))}`).join('&');
  if (body === JSON_BODY) {
    const json = JSON.stringify(Object.fromEntries(needed));
    return `curl "${address}"${header} \\\n  -H 'Content-Type: application/json' -d @- <<'END'\n${json}\nEND`;
  }
  if (body !== undefined) {
    const data = body.startsWith('multipart/') ? '-F file=@FILE' : `-H 'Content-Type: ${body}' --data-binary @FILE`;
    return `curl "${address}${query && `?${query}`}"${header} ${data}`;
  }
  const data = needed.map(([name, value]) => ` --data-urlencode '${name}=${textValue(value)}'`).join('');
  return `curl${data && ' -G'} "${address}"${header}${data}${output}`;
}

function textValue(value: unknown): string {
  const one = Array.isArray(value) ? value[0] : value;
  return typeof one === 'object' ? JSON.stringify(one) : String(one);
}

function answerOf({ responses }: Operation): Html {
  const content = responses?.['200']?.content ?? {};
  const [success] = content[JSON_BODY]?.schema?.anyOf ?? [];
  if (!success) return html`<h3>Answer</h3>\n<p>The bytes of the file, or a refusal in JSON.</p>`;
  const data = success.properties?.['data'] ?? {};
  const rows = fieldsOf(data, '').map(row);
  const about = descriptionOf(data);
  const example = JSON.stringify({ success: true, message: '', data: exampleOf(data) }, null, 2);
  return html`<h3>Answer</h3>
<p><code>data</code> is ${typeOf(data)}${about !== undefined && html`: ${inlineMarkdown(about)}`}.</p>
${rows.length > 0 && table('field', rows)}
<pre tabindex="0" aria-label="An answer"><code>${example}</code></pre>`;
}

/** The fields of an object, and of those within it, by their paths: `changes[].queue`. */
function fieldsOf(schema: Schema, path: string): Argument[] {
  if (schema.items) return fieldsOf(schema.items, `${path}[]`);
  if (schema.anyOf) return schema.anyOf.flatMap((one) => fieldsOf(one, path));
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' || path === '[]' ? name : `${path}.${name}`;
    return [{ name: at, schema: field, required: false }, ...fieldsOf(field, at)];
  });
}

function descriptionOf({ description, anyOf, items }: Schema): string | undefined {
  return description ?? anyOf?.find((one) => one.description !== undefined)?.description ?? items?.description;
}

function typeOf({ type, items, anyOf, enum: words, const: constant }: Schema): string {
  if (constant !== undefined) return JSON.stringify(constant);
  if (words) return words.map((word) => JSON.stringify(word)).join(' or ');
  if (anyOf) return anyOf.map(typeOf).join(' or ');
  if (type === 'array') return `list of ${typeOf(items ?? {})}`;
  return type ?? 'any';
}
