import { isSurrogate, LAST_CHARACTER } from "./chars.ts";

/** One character of a string or a class, escaped or not. */

const SHORT: Readonly<Record<string, number>> = {
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  v: 0x0b,
  e: 0x1b,
  "0": 0,
};
const AS_THEY_ARE = "\\\"'?[]-";
const AS_THEY_ARE_IN_CLASSES = "^$.*+(){}|/";
/** xgrammar reads \x with any number of digits, llama.cpp with two, and two is what both of them print. */
const DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const MOST_BRACED_DIGITS = 8;

export interface Character {
  readonly code: number;
  /** in UTF-16 units */
  readonly length: number;
}

/**
 * The character at a place that is within the source.
 * @returns or why there is none, for the reader to say where
 */
export function characterAt(source: string, at: number, inClass: boolean): Character | string {
  if (source[at] !== "\\") {
    const code = source.codePointAt(at)!;
    return checked(code, code > 0xffff ? 2 : 1, "a lone surrogate");
  }
  const kind = source[at + 1] ?? "";
  if (kind !== "" && AS_THEY_ARE.includes(kind)) return { code: kind.charCodeAt(0), length: 2 };
  if (kind !== "" && inClass && AS_THEY_ARE_IN_CLASSES.includes(kind)) {
    return { code: kind.charCodeAt(0), length: 2 };
  }
  if (Object.hasOwn(SHORT, kind)) return { code: SHORT[kind]!, length: 2 };
  if (!Object.hasOwn(DIGITS, kind)) {
    const written = /[!-~]/.test(kind) ? `\\${kind}` : "of a \\ alone";
    return `there is no escape ${written}; use one of \\n \\r \\t \\\\ \\" \\xNN \\uNNNN \\UNNNNNNNN`;
  }
  if (kind === "u" && source[at + 2] === "{") return braced(source, at);
  const digits = source.slice(at + 2, at + 2 + DIGITS[kind]!);
  if (digits.length < DIGITS[kind]! || !/^[0-9a-fA-F]*$/.test(digits)) {
    return `\\${kind} needs ${DIGITS[kind]} hexadecimal digits`;
  }
  return checked(Number.parseInt(digits, 16), 2 + digits.length, `\\${kind}${digits}`);
}

function braced(source: string, at: number): Character | string {
  const text = source.slice(at + 3, at + 4 + MOST_BRACED_DIGITS);
  const [digits] = /^[0-9a-fA-F]*(?=\})/.exec(text) ?? [""];
  if (digits === "") return "\\u{ needs hexadecimal digits and }";
  return checked(Number.parseInt(digits, 16), digits.length + 4, `\\u{${digits}}`);
}

function checked(code: number, length: number, written: string): Character | string {
  if (code <= LAST_CHARACTER && !isSurrogate(code)) return { code, length };
  return `${written} is no character; write those past U+FFFF as \\UNNNNNNNN, up to \\U0010FFFF`;
}
