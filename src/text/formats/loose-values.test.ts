import { describe, expect, it } from "vitest";
import { LooseScanner, looseJson } from "./loose-values.ts";

describe("values as Python writes them", () => {
  it.each([
    ["3", "3"],
    ["-2.5e3", "-2.5e3"],
    ["1_000", "1000"],
    [".5", "0.5"],
    ["True", "true"],
    ["None", "null"],
    ["null", "null"],
    ["'it''", "\"'it''\""],
    ["'it\\'s \"x\"'", '"it\'s \\"x\\""'],
    ["'a\\n\\x41\\u00e9\\q'", '"a\\nAé\\\\q"'],
    ['"""two\nlines"""', '"two\\nlines"'],
    ["''", '""'],
    ["[1, 'a', (True, None)]", '[1, "a", [true, null]]'],
    ["{'k': [1,], 'l': {}}", '{"k": [1], "l": {}}'],
    ['{k:<|"|>a "b", {c}<|"|>,l:2}', '{"k": "a \\"b\\", {c}", "l": 2}'],
    ["some words", '"some words"'],
    ["f(x)", '"f(x)"'],
  ])("are JSON: %s", (text, json) => {
    expect(looseJson(text)).toBe(json);
    expect(() => JSON.parse(json)).not.toThrow();
  });

  it.each([
    "'a, b)', x",
    "[1, (2, 3)], x",
    '<|"|>a}, "b<|"|>}',
    "''', ''', x",
    '{"k": ")"})',
  ])("end at a comma or a bracket outside of them, as they grow: %s", (text) => {
    const whole = new LooseScanner(0).end(text);
    const growing = new LooseScanner(0);
    const ends = Array.from(text, (_, i) => growing.end(text.slice(0, i + 1)));
    expect(ends.find((end) => end >= 0)).toBe(whole);
    expect(",)}").toContain(text[whole]);
    expect(whole).toBeGreaterThan(text.length - 5);
  });
});
