/** Values as Python writes them, or nearly so, as JSON: any quotes, True and None, tuples, keys without quotes. */

import { MOST_DEPTH } from "./calls.ts";

/** Gemma's, within which nothing is escaped. */
const BARE_QUOTE = '<|"|>';
/** The longest come first. */
const QUOTES = [BARE_QUOTE, '"""', "'''", '"', "'"];
const LONGEST_QUOTE = BARE_QUOTE.length;
/** A map: `constructor` is a key of every object. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", a: "\x07", v: "\v", "0": "\0", "\n": "" },
};
const CLOSERS: Readonly<Record<string, string>> = { "[": "]", "(": ")", "{": "}" };

/** Where a value ends, as its text grows: at a comma, or a bracket that closes what it is in. */
export class LooseScanner {
  private at: number;
  private depth = 0;
  private quote: string | null = null;

  /** @param from where the value begins */
  constructor(from: number) {
    this.at = from;
  }

  /**
   * @param text all of it, from the beginning
   * @returns -1 where the text does not say yet
   */
  end(text: string): number {
    for (; this.at < text.length; this.at++) {
      if (this.quote !== null) {
        if (!this.within(text, this.quote)) return -1;
        continue;
      }
      const rest = text.slice(this.at, this.at + LONGEST_QUOTE);
      if (QUOTES.some((quote) => quote.length > rest.length && quote.startsWith(rest))) return -1;
      this.quote = QUOTES.find((quote) => rest.startsWith(quote)) ?? null;
      if (this.quote !== null) {
        this.at += this.quote.length - 1;
        continue;
      }
      const unit = text[this.at]!;
      if (this.depth === 0 && /[,)\]}]/.test(unit)) return this.at;
      if (CLOSERS[unit] !== undefined) this.depth++;
      else if (/[)\]}]/.test(unit)) this.depth--;
    }
    return -1;
  }

  /** One unit of a string, or what closes it. @returns false where more text is needed */
  private within(text: string, quote: string): boolean {
    if (quote !== BARE_QUOTE && text[this.at] === "\\") {
      if (this.at + 1 >= text.length) return false;
      this.at++;
      return true;
    }
    if (text.startsWith(quote, this.at)) {
      this.at += quote.length - 1;
      this.quote = null;
      return true;
    }
    return !quote.startsWith(text.slice(this.at));
  }
}

/** Behind the quote that closes; -1: not there yet. */
function quotedEnd(text: string, at: number, quote: string): number {
  for (let i = at + quote.length; i < text.length; i++) {
    if (quote !== BARE_QUOTE && text[i] === "\\") i++;
    else if (text.startsWith(quote, i)) return i + quote.length;
  }
  return -1;
}

/** JSON of a value; what is none of Python's literals becomes a string. */
export function looseJson(text: string): string {
  const reader = new LooseReader(text.trim());
  const json = reader.value();
  return json !== null && reader.atEnd ? json : JSON.stringify(text.trim());
}

class LooseReader {
  private readonly text: string;
  private at = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    this.space();
    return this.at >= this.text.length;
  }

  /** null: it is none */
  value(): string | null {
    this.space();
    const quote = QUOTES.find((quote) => this.text.startsWith(quote, this.at));
    if (quote !== undefined) return this.quoted(quote);
    const unit = this.text[this.at];
    if (unit === "{" || unit === "[" || unit === "(") {
      if (this.depth === MOST_DEPTH) return null;
      this.depth++;
      const json = unit === "{" ? this.dictionary() : this.list(CLOSERS[unit]!);
      this.depth--;
      return json;
    }
    const word = /^[^\s,:[\](){}"']+/.exec(this.text.slice(this.at))?.[0];
    if (word === undefined) return null;
    this.at += word.length;
    return wordJson(word);
  }

  private list(closer: string): string | null {
    this.at++;
    const parts: string[] = [];
    for (;;) {
      if (this.take(closer)) return `[${parts.join(", ")}]`;
      const value = this.value();
      if (value === null) return null;
      parts.push(value);
      if (!this.take(",") && !this.ahead(closer)) return null;
    }
  }

  private dictionary(): string | null {
    this.at++;
    const parts: string[] = [];
    for (;;) {
      if (this.take("}")) return `{${parts.join(", ")}}`;
      const key = this.key();
      if (key === null || !this.take(":")) return null;
      const value = this.value();
      if (value === null) return null;
      parts.push(`${key}: ${value}`);
      if (!this.take(",") && !this.ahead("}")) return null;
    }
  }

  private key(): string | null {
    this.space();
    const quote = QUOTES.find((quote) => this.text.startsWith(quote, this.at));
    if (quote !== undefined) return this.quoted(quote);
    const word = /^[^:,{}[\]]+/.exec(this.text.slice(this.at))?.[0];
    if (word === undefined) return null;
    this.at += word.length;
    return JSON.stringify(word.trim());
  }

  private quoted(quote: string): string | null {
    // An empty string is no beginning of three quotes.
    const end = quotedEnd(this.text, this.at, quote);
    if (end < 0) return null;
    const within = this.text.slice(this.at + quote.length, end - quote.length);
    this.at = end;
    return JSON.stringify(quote === BARE_QUOTE ? within : unescaped(within));
  }

  private take(unit: string): boolean {
    const there = this.ahead(unit);
    if (there) this.at++;
    return there;
  }

  private ahead(unit: string): boolean {
    this.space();
    return this.text[this.at] === unit;
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++;
  }
}

function wordJson(word: string): string {
  const known = WORDS.get(word);
  if (known !== undefined) return known;
  if (/^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(word)) return word;
  const number = /^[+-]?(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?$/.test(word)
    ? Number(word.replaceAll("_", ""))
    : Number.NaN;
  return Number.isFinite(number) ? JSON.stringify(number) : JSON.stringify(word);
}

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g,
    (all, x, u, long, unit) => {
      const code = Number.parseInt(x ?? u ?? long ?? "", 16);
      if (code <= 0x10ffff) return String.fromCodePoint(code);
      return unit === undefined ? all : (ESCAPES[unit] ?? (/["'\\/]/.test(unit) ? unit : all));
    },
  );
}
