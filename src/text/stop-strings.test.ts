import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStrings } from "./stop-strings.ts";

/** All that comes out for text that comes in pieces. */
function through(stops: readonly string[], pieces: readonly string[]): { text: string; stopped: boolean } {
  const strings = new StopStrings(stops);
  let text = "";
  for (const piece of pieces) {
    const { text: some, stopped } = strings.push(piece);
    text += some;
    expect(strings.came === null).toBe(!stopped);
    if (stopped) return { text, stopped };
  }
  return { text: text + strings.end(), stopped: false };
}

describe("stop strings", () => {
  it("end the text before them, also when they are spread over pieces", () => {
    expect(through(["END"], ["one E", "N", "D two"])).toEqual({ text: "one ", stopped: true });
    expect(through(["END"], ["one E", "N", "x"])).toEqual({ text: "one ENx", stopped: false });
    expect(through(["END"], ["one EN"])).toEqual({ text: "one EN", stopped: false });
    expect(through(["aab"], ["a", "a", "a", "b"])).toEqual({ text: "a", stopped: true });
    expect(through(["b", "abc"], ["ab"])).toEqual({ text: "a", stopped: true });
    expect(through([], ["a", "b"])).toEqual({ text: "ab", stopped: false });
    expect(through([""], ["a"])).toEqual({ text: "a", stopped: false });
  });

  it("give text away as soon as it is certain", () => {
    const strings = new StopStrings(["stop"]);
    expect(strings.push("nonstick st").text).toBe("nonstick ");
    expect(strings.push("a").text).toBe("sta");
  });

  it("say the same however the text is cut", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        letters,
        fc.array(stop, { maxLength: 3 }),
        fc.array(fc.nat(4), { maxLength: 30 }),
        (text, stops, cuts) => {
          const pieces: string[] = [];
          let rest = text;
          for (const cut of cuts) {
            pieces.push(rest.slice(0, cut));
            rest = rest.slice(cut);
          }
          const whole = stops.map((one) => text.indexOf(one)).filter((at) => at >= 0);
          const first = whole.length > 0 ? Math.min(...whole) : -1;
          const expected =
            first < 0 ? { text, stopped: false } : { text: text.slice(0, first), stopped: true };
          expect(through(stops, [text])).toEqual(expected);
          const { text: cut, stopped } = through(stops, [...pieces, rest]);
          // A shorter stop string may be whole before a longer one that began earlier: then that one counts.
          expect(stopped).toBe(expected.stopped);
          expect(text.startsWith(cut)).toBe(true);
          if (stops.length <= 1) expect(cut).toBe(expected.text);
        },
      ),
    );
  });

  it("are named: of those that begin together the one that was given first", () => {
    for (const [stops, came] of [
      [["c", "bc"], "bc"],
      [["b", "bc"], "b"],
      [["bc", "b"], "bc"],
      [["x"], null],
    ] as const) {
      const strings = new StopStrings(stops);
      strings.push("abcd");
      expect(strings.came).toBe(came);
    }
  });
});
