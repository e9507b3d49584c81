import type { PromptText } from "../conversation.ts";
import type { SpecialTexts } from "../tame.ts";
import type { TemplateVariables } from "./render.ts";
import { Twins } from "./twins.ts";

/**
 * What clients and tools wrote never becomes a control token: it goes into the template with marks (twins.ts), and where
 * the text of a control token comes out with one, that place is read as plain text. Also a token that is put together of
 * several texts, or of a text and the template's own, has a mark. All else is read in one piece.
 */

type Marks = NonNullable<TemplateVariables["twins"]>;

/** Private characters: more than any vocabulary has in the texts of its control tokens. */
const FIRST = 0xe000;
const LAST = 0xf8ff;
const BLOCK = 256;

/** What JSON escapes, and what templates trim, has no twin: a template would miss it. */
const UNMARKED = /[\s"\\\p{Cc}\p{Cs}]/u;

/** @param texts all that the twins must not be in @returns undefined: no vocabulary to protect, or no free characters */
export function marksFor(controls: SpecialTexts | undefined, texts: string): Marks | undefined {
  if (controls === undefined) return undefined;
  const characters = [...controls.characters()]
    .filter((character) => !UNMARKED.test(character) && !isPrivate(character.charCodeAt(0)))
    .sort()
    .slice(0, BLOCK)
    .join("");
  if (characters === "") return undefined;
  const taken = new Set<number>();
  for (let i = 0; i < texts.length; i++) {
    const unit = texts.charCodeAt(i);
    if (isPrivate(unit)) taken.add(Math.floor((unit - FIRST) / BLOCK));
  }
  const blocks = (LAST + 1 - FIRST) / BLOCK;
  for (let block = 0; block < blocks; block++) {
    if (!taken.has(block)) return { characters, base: FIRST + block * BLOCK };
  }
  throw new Error("the messages have characters of all private areas of Unicode; remove some of them");
}

const isPrivate = (unit: number) => unit >= FIRST && unit <= LAST;

/** A rendering as it was meant, and where it is read without special tokens. */
export function unmarked(
  shown: string,
  marks: Marks,
  controls: SpecialTexts,
): Pick<PromptText, "text" | "plain"> {
  const twins = new Twins(marks.characters, marks.base);
  const text = twins.plain(shown);
  if (text === shown) return { text };
  const found = occurrences(shown, text, twins, controls);
  const plain: [number, number][] = [];
  for (const [from, to] of found.theirs) {
    let mark = from;
    while (!twins.isTwin(shown, mark)) mark++;
    let [first, end] = [mark, mark + 1];
    while (first > from && !found.isOwn(first - 1)) first--;
    while (end < to && !found.isOwn(end)) end++;
    const last = plain.at(-1);
    if (last && found.ownBetween(last[1], first) === 0) last[1] = Math.max(last[1], end);
    else plain.push([first, end]);
  }
  return plain.length === 0 ? { text } : { text, plain };
}

/** Where texts of control tokens are: those with marks, and the units of the others, which are the template's own. */
function occurrences(shown: string, text: string, twins: Twins, controls: SpecialTexts) {
  const theirs: [number, number][] = [];
  const own = new Uint8Array(text.length);
  for (let from = 0; from < text.length; from++) {
    for (const length of controls.lengthsAt(text, from)) {
      let to = from;
      while (to < from + length && !twins.isTwin(shown, to)) to++;
      if (to < from + length) theirs.push([from, from + length]);
      else own.fill(1, from, to);
    }
  }
  const isOwn = (index: number) => own[index] === 1;
  const ownBetween = (from: number, to: number) => {
    let count = 0;
    for (let i = from; i < to; i++) count += own[i]!;
    return count;
  };
  return { theirs, isOwn, ownBetween };
}
