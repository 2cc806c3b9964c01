// Every message that a user can meet, found in the code: errors, lines that programs print, questions and pages.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@swc/core';

const root = join(import.meta.dirname, '../..');

/** Files without messages: tables of words and formats, statements of SQL, and the schemas of calls, which `/api/v1/docs` shows. */
const WITHOUT = [
  'src/store/',
  'src/client/credential-files.ts',
  'src/masking/',
  'src/protocol/calls/',
  'src/events/',
  'src/pages/style.ts',
];
/** Options and commands of the command lines: the manual pages have them. */
const HELP = new Set([
  'listOption',
  'workdir',
  'secretsDirectory',
  'allowTlsSecretsOption',
  'addOption',
  'description',
  'option',
  'requiredOption',
  'usage',
  'addNotes',
  'Option',
  'addHelpText',
  'helpOption',
  'helpCommand',
  'version',
]);
/** Properties that are help as well, or names for machines. */
const NO_MESSAGE = new Set([
  'summary',
  'description',
  'example',
  'about',
  'heading',
  'help',
  'type',
  'items',
  'title',
  'source',
]);

/** The list as a page, by the file that a message stands in. */
export function messagesPage(): string {
  const files = globSync('src/**/*.{ts,py}', { cwd: root }).sort();
  const sections = files
    .filter((file) => !WITHOUT.some((prefix) => file.startsWith(prefix)))
    .map((file) => ({ file, messages: messagesIn(file) }))
    .filter(({ messages }) => messages.length > 0);
  return [
    '# Messages',
    '',
    'Made from the code by `npm run manual`, to be read through: the texts that a user, an operator or the owner of a job can meet.',
    '`{name}` stands for what is filled in, `[a | b]` for one of several.',
    ...sections.flatMap(({ file, messages }) => ['', `## ${file}`, '', ...messages.map((text) => `- ${text}`)]),
    '',
  ].join('\n');
}

function messagesIn(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = file.endsWith('.py') ? pythonTexts(text) : typescriptTexts(text);
  const shown = found.map((one) => one.replace(/\s+/g, ' ').trim()).filter(isSentence);
  return [...new Set(shown)].map((one) => one.replace(/([<>|*_`])/g, '\\$1'));
}

/** Names for machines that look like words: labels of keys, types of content, scopes, policies, style sheets, scripts. */
const MACHINES = [
  /^panda-secrets [\w{} ]+$/,
  /^[a-z]+\/[\w+-]+;/,
  /^openid /,
  /(^|; )[a-z]+-src '|^(form-action|frame-ancestors|base-uri) /,
  /\{ ?[\w-]+: |<svg|\$1|^import |^exec\b|HTTP\/1\.1|Content-Disposition/,
];

/** Several words for people. */
function isSentence(text: string): boolean {
  return /[A-Za-z"'}\]][,:;]? ["'[{(]?[a-z]{2,}/.test(text) && !MACHINES.some((sign) => sign.test(text));
}

type Node = { type: string; [field: string]: unknown };

function typescriptTexts(source: string): string[] {
  const texts: string[] = [];
  visit(parseSync(source, { syntax: 'typescript', target: 'esnext' }) as unknown as Node);
  return texts;

  function visit(found: unknown): void {
    if (Array.isArray(found)) for (const one of found) visit(one);
    else if (typeof found === 'object' && found !== null) visitNode(found as Node);
  }

  function visitNode(node: Node): void {
    const { type } = node;
    if (type === 'ImportDeclaration' || type?.startsWith('Ts')) return;
    if (isText(node)) {
      texts.push(rendered(node));
      inside(node);
      return;
    }
    if ((type === 'CallExpression' || type === 'NewExpression') && HELP.has(nameOf(node['callee'] as Node))) {
      // The command that a help is of may be an argument, and has its action behind it.
      visit(node['callee']);
      return;
    }
    if (type === 'KeyValueProperty' && NO_MESSAGE.has(keyOf(node['key'] as Node))) return;
    if (type === 'TaggedTemplateExpression') taggedTexts(node);
    else for (const value of Object.values(node)) visit(value);
  }

  /** Texts within a text: those that a function is given to put in. */
  function inside(node: Node): void {
    if (node.type === 'TemplateLiteral') for (const one of node['expressions'] as Node[]) if (!isText(one)) within(one);
    if (node.type === 'BinaryExpression') for (const one of [node['left'], node['right']]) inside(one as Node);
    if (node.type === 'ParenthesisExpression') inside(node['expression'] as Node);
  }

  function within(node: Node): void {
    if (node.type === 'CallExpression') visit(node['arguments']);
  }

  /** HTML as a reader sees it. */
  function taggedTexts({ tag, template }: Node): void {
    if (nameOf(tag as Node) !== 'html') return;
    const { quasis, expressions } = template as unknown as { quasis: { cooked: string }[]; expressions: Node[] };
    const whole = quasis.map(({ cooked }, n) => cooked + (expressions[n] ? placeholder(expressions[n]) : '')).join('');
    texts.push(
      ...whole
        .split(/<\/?(?:p|h\d|li|dt|dd|label|button|div|form|title|ul|dl|td|th|tr)\b[^>]*>/)
        .map((part) => part.replace(/<[^>]*>/g, '')),
    );
    visit(expressions);
  }
}

/** A string, or several that are put together. */
function isText(node: Node): boolean {
  if (node.type === 'StringLiteral' || node.type === 'TemplateLiteral') return true;
  if (node.type === 'ParenthesisExpression') return isText(node['expression'] as Node);
  if (node.type === 'ConditionalExpression')
    return isText(node['consequent'] as Node) && isText(node['alternate'] as Node);
  if (node.type !== 'BinaryExpression' || node['operator'] !== '+') return false;
  return isText(node['left'] as Node) || isText(node['right'] as Node);
}

function rendered(node: Node): string {
  switch (node.type) {
    case 'StringLiteral':
      return String(node['value']);
    case 'TemplateLiteral': {
      const { quasis, expressions } = node as unknown as { quasis: { cooked: string }[]; expressions: Node[] };
      return quasis.map(({ cooked }, n) => cooked + (expressions[n] ? placeholder(expressions[n]) : '')).join('');
    }
    case 'ParenthesisExpression':
      return rendered(node['expression'] as Node);
    case 'BinaryExpression':
      if (node['operator'] === '+') return rendered(node['left'] as Node) + rendered(node['right'] as Node);
      return placeholder(node);
    default:
      return placeholder(node);
  }
}

function placeholder(node: Node): string {
  if (node.type === 'ParenthesisExpression') return placeholder(node['expression'] as Node);
  if (node.type === 'ConditionalExpression') {
    const ways = [node['consequent'], node['alternate']].map((one) => rendered(one as Node));
    return `[${ways.join(' | ')}]`;
  }
  if (isText(node)) return rendered(node);
  return `{${nameOf(node) || '...'}}`;
}

/** The last name of `a.b.c`, of a call `f(x)` that of `x`, where it has one. */
function nameOf(node: Node | undefined): string {
  switch (node?.type) {
    case 'Identifier':
      return String(node['value']);
    case 'MemberExpression':
      return nameOf(node['property'] as Node);
    case 'CallExpression': {
      const [first] = node['arguments'] as { expression: Node }[];
      return (first && nameOf(first.expression)) || nameOf(node['callee'] as Node);
    }
    case 'BinaryExpression':
      return nameOf(node['left'] as Node) || nameOf(node['right'] as Node);
    case 'TsNonNullExpression':
    case 'TsAsExpression':
    case 'AwaitExpression':
      return nameOf((node['expression'] ?? node['argument']) as Node);
    default:
      return '';
  }
}

function keyOf(node: Node): string {
  return String(node['value'] ?? '');
}

/** Strings of Python that are raised or printed; those that stand behind each other are one. */
function pythonTexts(source: string): string[] {
  const without = source.replace(/("""|''')[\s\S]*?\1/g, '').replace(/^\s*#.*$/gm, '');
  const statements = without.matchAll(
    /(?:raise\s+[\w.]+|\bprint|\b_?say|\b_?warn|\b_?fail|\bnote|\.write|\bError|\berror)\(\s*((?:[rfb]*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*)+)/g,
  );
  return [...statements].map(([, literals = '']) =>
    [...literals.matchAll(/[rfb]*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/g)]
      .map(([, quoted = '']) =>
        quoted
          .slice(1, -1)
          .replace(/\\(["'])/g, '$1')
          .replace(/\\n/g, ' '),
      )
      .join(''),
  );
}
