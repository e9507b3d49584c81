/** Texts that fit a terminal of 80 columns. */

export const COLUMNS = 80;

/**
 * Breaks lines at spaces. A word that is longer than a line stays whole.
 * @param text any lines, each broken on its own
 * @param indent before each line that a break makes
 */
export function wrapped(text: string, indent = "", columns = COLUMNS): string {
  return text
    .split("\n")
    .flatMap((line) => wrappedLine(line, indent, columns))
    .join("\n");
}

function wrappedLine(line: string, indent: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  const lines: string[] = [];
  let open = "";
  // The spaces before a word, and the word.
  for (const [piece] of line.matchAll(/\s*\S+/g)) {
    if (open.trim() === "" || open.length + piece.length <= columns) {
      open += piece;
      continue;
    }
    lines.push(open);
    open = indent + piece.trimStart();
  }
  return [...lines, open];
}

/** What a peer or a model wrote, without what a terminal would obey: all control characters but line breaks and tabs. */
export function printable(text: string): string {
  return text.replaceAll(/(?![\n\t])\p{Cc}/gu, "");
}

/** Shortened in its middle, so that both the words before a path and the file's name at its end are seen. */
export function shortened(text: string, columns: number): string {
  if (text.length <= columns) return text;
  const head = Math.floor((columns - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (columns - 1 - head))}`;
}

/**
 * What a command's help says after its options, within the columns: paragraphs are set anew, notes beside an example
 * go before it, and long examples go on in the next line as a shell takes them.
 */
export function helpText(text: string, columns = COLUMNS): string {
  const blocks: string[] = [];
  let paragraph: string[] = [];
  const flush = () => {
    if (paragraph.length > 0) blocks.push(wrapped(paragraph.join(" "), "", columns));
    paragraph = [];
  };
  for (const line of text.split("\n")) {
    if (/^\S/.test(line) && !line.endsWith(":")) {
      paragraph.push(line);
      continue;
    }
    flush();
    blocks.push(line.startsWith("  $ ") ? example(line, columns) : entry(line, columns));
  }
  flush();
  return blocks.join("\n");
}

function example(line: string, columns: number): string {
  if (line.length <= columns) return line;
  const [, command, note] = /^(.*?)(?: {2,}(\S.*))?$/.exec(line.trim())! as unknown as [
    string,
    string,
    string?,
  ];
  const remark =
    note === undefined ? [] : [wrapped(`  # ${note.replace(/^\((.*)\)$/, "$1")}`, "  # ", columns)];
  // A quoted text is one word.
  const words = command.trim().match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)!;
  const lines: string[] = [];
  let open = "  ";
  for (const [i, word] of words.entries()) {
    // An option and its value stay together.
    const value = words[i + 1];
    const unit =
      word.startsWith("--") && value && !value.startsWith("--")
        ? word.length + 1 + value.length
        : word.length;
    const isValue = i > 0 && words[i - 1]!.startsWith("--") && !word.startsWith("--");
    if (!isValue && open.trim() !== "" && open.length + 1 + unit + 2 > columns) {
      lines.push(`${open} \\`);
      open = "     ";
    }
    open += open.trim() === "" && lines.length === 0 ? word : ` ${word}`;
  }
  return [...remark, ...lines, open].join("\n");
}

/** A name and what it means, in two columns, or anything else that is indented. */
function entry(line: string, columns: number): string {
  const head = /^\s+\S.*? {2,}(?=\S)/.exec(line)?.[0] ?? /^\s*/.exec(line)![0];
  return wrapped(line, " ".repeat(head.length), columns);
}
