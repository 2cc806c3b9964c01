/** A fenced block of a Markdown page. */
export interface Block {
  /** The word behind the fence: `console`. */
  language: string;
  lines: string[];
  /** Where its first line stands in the page, from 1. */
  line: number;
}

/** Something that a page shows being typed, and the answer that it shows. */
export interface Exchange {
  typed: string;
  answer: string[];
  line: number;
}

/** The fenced blocks of a page, from top to bottom. @throws when one has no end */
export function fencedBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  for (const [index, text] of markdown.split('\n').entries()) {
    const fence = /^```(\S*)$/.exec(text);
    if (!fence) open?.lines.push(text);
    else if (open) {
      blocks.push(open);
      open = undefined;
    } else open = { language: fence[1] ?? '', lines: [], line: index + 2 };
  }
  if (open) throw new Error(`the block at line ${open.line} has no end`);
  return blocks;
}

/**
 * The lines that a block shows being typed behind a prompt, with their answers.
 *
 * @param more the prompt of a line that goes on; such lines belong to the same exchange
 * @throws when the block begins with something that nobody typed
 */
export function exchanges({ lines, line }: Block, prompt: string, more?: string): Exchange[] {
  const found: Exchange[] = [];
  for (const [index, text] of lines.entries()) {
    const last = found.at(-1);
    if (text.startsWith(`${prompt} `)) {
      found.push({ typed: text.slice(prompt.length + 1), answer: [], line: line + index });
    } else if (last && more && last.answer.length === 0 && (text === more || text.startsWith(`${more} `))) {
      last.typed += `\n${text.slice(more.length + 1)}`;
    } else if (last) last.answer.push(text);
    else throw new Error(`the block at line ${line} does not begin with "${prompt} "`);
  }
  return found;
}

/** True when a page's answer is this one, where `...` on a line of its own stands for any lines and in a line for any text. */
export function isAnswer(shown: readonly string[], actual: string): boolean {
  const pattern = shown.map((line) => {
    if (line === '...') return '(?:.*\\n)*';
    return `${line.split('...').map(literally).join('.*')}\\n`;
  });
  return new RegExp(`^${pattern.join('')}$`).test(actual);
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
