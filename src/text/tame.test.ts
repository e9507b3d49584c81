import { describe, expect, it } from "vitest";
import { isTame, SpecialTexts } from "./tame.ts";

describe("text that any tokenizer reads at once", () => {
  it("is short, or has short matches", () => {
    const prose = "The quick brown fox jumps over 13 lazy dogs, and then it rains.\n";
    for (const text of ["", "a".repeat(1000), prose.repeat(100), "a b. ".repeat(1000)])
      expect(isTame(text)).toBe(true);
  });

  it("is none with a run that one match may span, whatever it is of", () => {
    const runs = [
      "a",
      "1",
      " ",
      "\n",
      "!",
      "é",
      "漢",
      "a ",
      "1 ",
      "aé ",
      "a-",
      "\u0000",
      "\u3000",
      "\t\n ",
      "🙂",
    ];
    for (const run of runs) {
      expect(isTame(`x. ${run.repeat(2000)} y.`), JSON.stringify(run)).toBe(false);
      expect(isTame(`x. ${run.repeat(900 / run.length)}.\n y.`), JSON.stringify(run)).toBe(true);
    }
    expect(isTame("a b. ".repeat(2000))).toBe(false);
  });
});

describe("special tokens of a text", () => {
  it("are counted one behind the other, the longest first, up to a bound", () => {
    const specials = new SpecialTexts(["<|a|>", "<|ab|>", "<", "\n\n"]);
    expect(specials.count("<|a|><|ab|>x<\n\n\n", 99)).toBe(4);
    expect(specials.count("<|a|>".repeat(50), 7)).toBe(7);
    expect(new SpecialTexts([]).count("<|a|>", 9)).toBe(0);
  });
});
