/**
 * Bounds on JSON before it is parsed, byte by byte as it comes: parsing and checking cost up to a microsecond a value and
 * ten a wrong one, and an event loop that parses does nothing else.
 */
export interface JsonLimits {
  /** objects and lists within one another */
  readonly depth: number;
  /** objects and lists */
  readonly containers: number;
  /** fields of objects */
  readonly fields: number;
  /** values of lists and objects, short of one each */
  readonly values: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What a byte outside of strings begins, ends or separates; 0: nothing. */
const KINDS = new Uint8Array(256);
const [STRING, OPENING, CLOSING, COLON, COMMA] = [1, 2, 3, 4, 5];
for (const [bytes, kind] of [
  ['"', STRING],
  ["[{", OPENING],
  ["]}", CLOSING],
  [":", COLON],
  [",", COMMA],
] as const) {
  for (const byte of bytes) KINDS[byte.charCodeAt(0)] = kind;
}

/** Counts what a JSON text holds, in pieces. Whether it is JSON at all is the parser's to say. */
export class JsonScan {
  private readonly limits: JsonLimits;
  private depth = 0;
  private deepest = 0;
  private containers = 0;
  private fields = 0;
  private values = 0;
  private inString = false;
  private escaped = false;

  constructor(limits: JsonLimits) {
    this.limits = limits;
  }

  /** @returns what there is too much of, in words; null: nothing so far */
  push(bytes: Uint8Array): string | null {
    for (let i = 0; i < bytes.length; i++) {
      if (this.inString) i = this.skipString(bytes, i);
      else if (KINDS[bytes[i]!] !== 0) this.structure(KINDS[bytes[i]!]!);
    }
    const { limits } = this;
    if (this.deepest > limits.depth) return `${limits.depth} levels of objects and lists`;
    if (this.containers > limits.containers) return `${limits.containers} objects and lists`;
    if (this.fields > limits.fields) return `${limits.fields} fields`;
    return this.values > limits.values ? `${limits.values} values` : null;
  }

  /** @returns the index of its last byte here */
  private skipString(bytes: Uint8Array, from: number): number {
    let start = from;
    for (;;) {
      const quote = bytes.indexOf(QUOTE, start);
      const end = quote < 0 ? bytes.length : quote;
      let first = end;
      while (first > start && bytes[first - 1] === BACKSLASH) first--;
      // A run of them that reaches back to where this began goes on with what was before.
      const odd = ((end - first) % 2 === 1) !== (first === start && this.escaped);
      if (quote < 0) {
        this.escaped = odd;
        return end;
      }
      this.escaped = false;
      if (!odd) {
        this.inString = false;
        return quote;
      }
      start = quote + 1;
    }
  }

  private structure(kind: number): void {
    if (kind === STRING) this.inString = true;
    else if (kind === COMMA) this.values++;
    else if (kind === COLON) this.fields++;
    else if (kind === CLOSING) this.depth--;
    else {
      this.containers++;
      this.depth++;
      this.deepest = Math.max(this.deepest, this.depth);
    }
  }
}
