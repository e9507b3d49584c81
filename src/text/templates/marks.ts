import type { PromptText } from "../conversation.ts";
import type { SpecialTexts } from "../tame.ts";
import type { TemplateVariables } from "./render.ts";
import { Twins } from "./twins.ts";

/**
 * What clients and tools wrote never becomes a control token: it goes into the template with marks (twins.ts), and where
 * the text of a control token comes out with one, it is cut in two before it is read. Also a token that is put together of
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

/** A rendering as it was meant, and where it is cut so that no control token is of others' making. */
export function unmarked(
  shown: string,
  marks: Marks,
  controls: SpecialTexts,
): Pick<PromptText, "text" | "cuts"> {
  const twins = new Twins(marks.characters, marks.base);
  const text = twins.plain(shown);
  if (text === shown) return { text };
  const cuts: number[] = [];
  for (let from = 0; from < text.length; from++) {
    for (const length of controls.lengthsAt(text, from)) {
      const to = from + length;
      // The last cuts are the nearest, and few are within one text.
      if (cuts.slice(-8).some((cut) => cut > from && cut < to)) continue;
      const cut = cutOf(twins, shown, from, to);
      if (cut !== null) cuts.push(cut);
    }
  }
  return cuts.length === 0 ? { text } : { text, cuts: cuts.sort((a, b) => a - b) };
}

/** Beside the first mark, where no token of the template's own can be. Null: there is no mark. */
function cutOf(twins: Twins, shown: string, from: number, to: number): number | null {
  for (let i = from; i < to; i++) if (twins.isTwin(shown, i)) return i === from ? i + 1 : i;
  return null;
}
