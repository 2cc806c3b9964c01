import type { CorpusCase } from './corpus.ts';

const HEAD = `# How programs write a secret, and what is masked

This page is made from the corpus, [test/vectors/masking/](../test/vectors/masking/README.md), by \`npm run corpus -- --page\`: what programs
print of secrets of many kinds, and what the masker leaves of it. Each row is one way of printing; the tests run all of them.

**Pilot** is the masker of \`panda-pilot\`, which also looks through the files that \`prun\` sends. **Transformation** is the script with
which PanDA's own pilots run jobs; it masks the ways that are marked.

A character of a secret is known in each of its spellings, at its own place: as it is, \`%41\` and \`%u0041\`, a backslash before it,
octal, decimal and hex after a backslash, \`\\u0041\` and pairs of surrogates, \`\\u{41}\`, \`\\U00000041\`, \`\\M-A\`, entities of HTML and XML by name and
number, \`+\` for a blank, quotes that are doubled or left and entered again; and all of these once more where a text was encoded twice. A text is also
known with \`$$\` and \`%%\`, PowerShell's backticks, rsyslog's \`#011\`, and as the bytes of a document of JSON in dumps, base64 and hex.
Base64 at its three alignments, hex and base32 are looked for as well, base64 and hex also over the line ends of a block of at least 56
columns, indented, quoted or with a time before each line, and the bytes of dumps that begin their lines, in every base. Colours of a
terminal are read over. A value of several lines is hidden where all of it is printed, whatever stands before each line.

`;

const NOT_COVERED = `
## What is not masked

| | why |
|---|---|
| fewer than six characters, and what is as common as \`true\` | a log would not stay readable |
| some lines of a value without the others: those of fewer than six characters, and those that read as text, settings or addresses without a secret | a key hides its own lines, and a text would take each of its lines out of the log |
| a value of several lines with something else between them, or whose lines have fewer than six characters each | nothing tells them from other lines |
| a value that a program breaks at a column of its own (\`fold\`, \`textwrap\`, folded YAML) | any line could be the beginning of one, and would be held back |
| a dump of bytes with other text before it on its line, as \`printf 'value: '\` leaves it, and what goes on from there in its next lines | dumps are looked for where lines begin: to look at every place would slow all logs |
| base64 of percent-encoding or of an encoding for HTML | rare, and each takes as much again |
| base64 of base64 that was broken into lines before it was encoded again | the line ends are inside the second encoding |
| base64 and hex in lines of fewer than 56 columns | such lines are too common to be held back |
| UTF-16, base32, base64 of base64, base64 and hex of a document of JSON with escapes, and lists of bytes, of parts of more than 256 bytes, and when these forms of all secrets come to more than 1 MiB | each takes many times the size of the secret, and they are rare |
| a word that a shell breaks at blanks and quotes piece by piece (\`set -x\` with an unquoted variable) | nothing tells the pieces from other words |
| base85, uuencode, base32 with other digits, UTF-16 in base64 and hex, UTF-7, names of characters (\`\\N{LATIN SMALL LETTER A}\`) | rare, and each takes as much again |
| what is compressed, encrypted, hashed, reversed, in other letters (capitals) or cut into pieces | it is another text |
`;

/** The page for people, of every producer whether all its cases are masked. */
export function maskingPage(corpus: readonly CorpusCase[], transformationGaps: readonly RegExp[]): string {
  const groups = [...Map.groupBy(corpus, ({ group }) => group)].map(([group, cases]) => {
    const rows = [...Map.groupBy(cases, ({ producer }) => producer)].map(([producer, members]) => {
      const masked = members.filter(({ gap }) => gap === undefined).length;
      const why = [...new Set(members.map(({ gap }) => gap).filter((gap) => gap !== undefined))].join('; ');
      const pilot = masked === members.length ? 'yes' : `${masked} of ${members.length} secrets: ${why}`;
      const transformation = transformationGaps.some((gap) => gap.test(producer)) ? 'no' : 'yes';
      return `| \`${producer.replaceAll('|', '\\|')}\` | ${members[0]?.version} | ${pilot} | ${transformation} |`;
    });
    return [
      `## ${titleOf(group)}\n`,
      '| | printed by | pilot | transformation |',
      '|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  return `${HEAD}${groups.join('\n')}${NOT_COVERED}`;
}

function titleOf(group: string): string {
  const words = group.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
