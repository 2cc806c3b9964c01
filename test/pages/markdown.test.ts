import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headingsOf, inlineMarkdown, markdown } from '../../src/pages/markdown.ts';

const anywhere = (target: string) => target;

test('what looks like HTML in Markdown is text, wherever it stands', () => {
  const hostile = '<img src=x onerror=alert(1)>';
  for (const text of [
    hostile,
    `a ${hostile} b`,
    `\`${hostile}\``,
    `# ${hostile}`,
    `| a |\n|---|\n| ${hostile} |`,
    `\`\`\`\n${hostile}\n\`\`\``,
  ]) {
    const { text: html } = markdown(text, anywhere);
    assert.doesNotMatch(html, /<img/, text);
    assert.match(html, /&lt;img/, text);
  }
  assert.equal(
    inlineMarkdown(`${hostile} and \`a < b\``).text,
    '&lt;img src=x onerror=alert(1)&gt; and <code>a &lt; b</code>',
  );
});

test('a heading has the anchor that GitHub gives it, by which links of other documents find it', () => {
  const text = '# Top\n\n## Managing secrets at the `>>>` prompt\n\n## Limits';
  const anchor = 'managing-secrets-at-the--prompt';
  assert.ok(markdown(text, anywhere).text.includes(`<h2 id="${anchor}">`));
  assert.deepEqual(headingsOf(text, 2), [
    { title: 'Managing secrets at the >>> prompt', anchor },
    { title: 'Limits', anchor: 'limits' },
  ]);
});

test('a link that leads nowhere here is its text', () => {
  assert.equal(markdown('see [this](there.md)', () => undefined).text, '<p>see this</p>\n');
});
