import { describe, expect, it } from "vitest";
import { SettingError } from "./errors.ts";
import {
  checkSetting,
  inRange,
  type NumberRange,
  rangeText,
  refuseUnknown,
  type SettingTable,
} from "./setting.ts";

const unit: NumberRange = { least: 0, most: 1 };

const table: SettingTable = {
  share: { kind: "number", range: unit, default: 1, help: "" },
  topK: { kind: "number", range: { least: 0, most: 9, whole: true }, default: 0, help: "", since: "0.2" },
  pairs: { kind: "pairs", range: unit, mostPairs: 1, default: [], help: "", since: "0.2" },
  way: { kind: "choice", choices: ["up", "down"], help: "" },
  on: { kind: "flag", help: "" },
};

describe("a range", () => {
  const ranges: [NumberRange, string, number[], unknown[]][] = [
    [unit, "from 0 to 1", [0, 0.5, 1], [-1e-9, 1.0001, Number.NaN, "1", null, undefined, Infinity]],
    [{ ...unit, aboveLeast: true }, "above 0 and at most 1", [1e-9, 1], [0, 2]],
    [{ least: 0, aboveLeast: true, most: Infinity }, "above 0", [1, Infinity], [0]],
    [{ least: 0, most: Infinity }, "0 or more", [0, Infinity], [-1]],
    [{ least: 0, most: 2 ** 31, whole: true }, "a whole number, 0 or more", [0, 2 ** 31], [1.5, 2 ** 31 + 1]],
    [{ least: 1, most: 5, whole: true }, "a whole number from 1 to 5", [1, 5], [0, 2.5, 6]],
    [{ least: 2, most: 5, also: 0 }, "0, or from 2 to 5", [0, -0, 2], [1, -1, 6]],
  ];
  it.each(ranges)("%j is %s", (range, text, inside, outside) => {
    expect(rangeText(range)).toBe(text);
    expect(inside.filter((value) => !inRange(value, range))).toEqual([]);
    expect(outside.filter((value) => inRange(value, range))).toEqual([]);
  });
});

describe("checkSetting", () => {
  const check = (name: string, value: unknown) => () => checkSetting(name, value, table[name]!);

  it("takes what a row allows", () => {
    for (const [name, value] of [
      ["share", 0.5],
      ["way", "up"],
      ["on", false],
      ["pairs", []],
      ["pairs", [[3, 0.5]]],
    ] as const) {
      expect(check(name, value)).not.toThrow();
    }
  });

  it.each([
    ["share", 2, "share must be from 0 to 1, not 2"],
    ["share", Number.NaN, "share must be from 0 to 1, not NaN"],
    ["share", undefined, "share must be from 0 to 1, not undefined"],
    ["way", "left", 'way must be "up" or "down", not "left"'],
    ["on", 1, "on must be true or false, not 1"],
    ["pairs", [[-1, 0]], "pairs must be at most 1 pairs of token id and a number from 0 to 1, not [[-1,0]]"],
    ["pairs", [[1, 2]], "not [[1,2]]"],
    ["pairs", [[1]], "not [[1]]"],
    ["pairs", [7], "not [7]"],
    ["pairs", { 1: 2 }, 'not {"1":2}'],
    ["pairs", new Array(2).fill([1, 0]), "not [[1,0],[1,0]]"],
  ])("refuses %s: %j", (name, value, message) => {
    expect(check(name, value)).toThrow(message);
    expect(check(name, value)).toThrow(SettingError);
  });

  it("shows no more than a line of a long value", () => {
    expect(check("pairs", new Array(1000).fill([1, 0]))).toThrow(/^.{0,200}\.\.\.$/);
  });
});

describe("an unknown name", () => {
  const refuse = (name: string) => () => refuseUnknown("setting", { share: 1, [name]: 2 }, table);

  it.each([
    ["topk", "topK"],
    ["top_k", "topK"],
    ["tpoK", "there are"],
    ["topJ", "topK"],
    ["shar", "share"],
    ["shares", "share"],
    ["__proto__x", "there are"],
    ["toString", "there are share, topK, pairs, way, on"],
    ["", "there are"],
  ])("%j: the nearest known one is %s", (name, hint) => {
    expect(refuse(name)).toThrow(
      hint.includes("there") ? hint : `unknown setting "${name}"; did you mean ${hint}?`,
    );
    expect(refuse(name)).toThrow(expect.objectContaining({ code: "bad_setting", setting: name }));
  });

  it("is none where all are known", () => {
    expect(() => refuseUnknown("setting", { topK: 1, on: 5 }, table)).not.toThrow();
  });
});
