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
const COMMA = 0x2c;
const COLON = 0x3a;

/** What closes differs from what opens by 2: [ ] and { }. */
const isOpening = (byte: number) => (byte | 0x20) === 0x7b;
const isClosing = (byte: number) => (byte | 0x20) === 0x7d;

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
      else this.structure(bytes[i]!);
    }
    const { limits } = this;
    if (this.deepest > limits.depth) return `${limits.depth} levels of objects and lists`;
    if (this.containers > limits.containers) return `${limits.containers} objects and lists`;
    if (this.fields > limits.fields) return `${limits.fields} fields`;
    return this.values > limits.values ? `${limits.values} values` : null;
  }

  /** @returns the index of its last byte here */
  private skipString(bytes: Uint8Array, from: number): number {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (this.escaped) this.escaped = false;
      else if (byte === BACKSLASH) this.escaped = true;
      else if (byte === QUOTE) {
        this.inString = false;
        return i;
      }
    }
    return bytes.length;
  }

  private structure(byte: number): void {
    if (byte === QUOTE) this.inString = true;
    else if (byte === COMMA) this.values++;
    else if (byte === COLON) this.fields++;
    else if (isOpening(byte)) {
      this.containers++;
      this.depth++;
      this.deepest = Math.max(this.deepest, this.depth);
    } else if (isClosing(byte)) this.depth--;
  }
}
