import { HttpError } from "./errors.ts";

/**
 * Bounds on JSON before it is parsed, byte by byte as it comes: parsing and checking cost up to a microsecond a value and
 * ten a wrong one, and an event loop that parses does nothing else. So that no body takes 50 ms.
 */
export const JSON_LIMITS = {
  /** objects and lists within one another: twice as many as levels of a schema */
  depth: 320,
  /** objects and lists */
  containers: 10_000,
  /** fields of objects */
  fields: 20_000,
  /** values of lists and objects: a prompt may be a list of token ids */
  values: 300_000,
} as const;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** What closes differs from what opens by 2: [ ] and { }. */
const isOpening = (byte: number) => (byte | 0x20) === 0x7b;
const isClosing = (byte: number) => (byte | 0x20) === 0x7d;

/** Counts what a JSON text holds, in pieces. Whether it is JSON at all is the parser's to say. */
export class JsonScan {
  private depth = 0;
  private containers = 0;
  private fields = 0;
  private values = 0;
  private inString = false;
  private escaped = false;

  /** @throws HttpError 413 */
  push(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      if (this.inString) i = this.skipString(bytes, i);
      else this.structure(bytes[i]!);
    }
    this.check("containers", this.containers);
    this.check("fields", this.fields);
    this.check("values", this.values);
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
      this.check("depth", this.depth);
    } else if (isClosing(byte)) this.depth--;
  }

  private check(what: keyof typeof JSON_LIMITS, count: number): void {
    if (count <= JSON_LIMITS[what]) return;
    const things = {
      depth: "levels of objects and lists",
      containers: "objects and lists",
      fields: "fields",
      values: "values",
    }[what];
    throw new HttpError(413, "body_too_large", `a request has at most ${JSON_LIMITS[what]} ${things}`);
  }
}
