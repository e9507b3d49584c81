/** Texts that a tokenizer has to take: every byte that UTF-8 has, all planes, and what splits and merges differently. */

function characters(from: number, to: number, step: number): string[] {
  const all: string[] = [];
  for (let code = from; code < to; code += step) all.push(String.fromCodePoint(code));
  return all;
}

/**
 * Each on a line of its own, so that no other hides it: a tokenizer that lacks the token of a byte fails only at a character
 * that has no token of its own either. All characters of one and two bytes; some for each first byte of three and four; and all
 * continuation bytes in characters of private use.
 */
const CHARACTERS = [
  ...characters(0, 0x800, 1),
  ...characters(0x800, 0xd800, 0x3fd),
  ...characters(0xe000, 0x1_0000, 0x3fd),
  ...characters(0x1_0000, 0x11_0000, 0x3ffd),
  ...characters(0xf_0000, 0xf_0040, 1),
];

export const TRIAL_TEXTS: readonly string[] = [
  "",
  CHARACTERS.join("\n"),
  CHARACTERS.join(""),
  "The quick brown fox doesn't jump over 1,234,567.89 lazy dogs; it'll run!  \n\n\tif (x === null) { return [1, 2]; }\r\n",
  "Größe, déjà vu, naïve, ñandú, Ελληνικά, русский текст, עברית, العربية, हिन्दी, ไทย, 中文字符, 日本語の文, 한국어",
  "👩‍👩‍👧‍👦 🇩🇪 e\u0301 \u200b\u200d\ufeff \u00a0\u2003 ﷽ \ud800 \u{10ffff} \u0000\u0001\u007f",
  "<s></s><unk><pad><|im_start|>user\nHi<|im_end|><|endoftext|><start_of_turn>[INST] [/INST]<0x00><0xFF>▁▁Ġ",
  "a".repeat(300),
  "ab ".repeat(100),
  " ".repeat(200),
  "\n".repeat(100),
  "0123456789".repeat(20),
  "é漢😀".repeat(50),
];
