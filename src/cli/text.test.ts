import { describe, expect, it } from "vitest";
import { table } from "./output.ts";
import { COLUMNS, helpText, printable, shortened, wrapped } from "./text.ts";

it("what a peer wrote loses what a terminal would obey, and nothing else", () => {
  expect(printable("a\u001b[2Jb\u0007\r\u009bc\n\td\u007f")).toBe("a[2Jbc\n\td");
  expect(printable("naïve, 日本語 🙂")).toBe("naïve, 日本語 🙂");
});

const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
const WORDS = Array.from({ length: 60 }, (_, i) => "word".slice(0, 1 + (i % 4))).join(" ");

describe("texts for a terminal of 80 columns", () => {
  it("break at spaces, lose no word, and keep a word that is too long whole", () => {
    const text = wrapped(WORDS, "  ");
    expect(widest(text)).toBeLessThanOrEqual(COLUMNS);
    expect(text.split(/\s+/).join(" ")).toBe(WORDS);
    expect(
      text
        .split("\n")
        .slice(1)
        .every((line) => line.startsWith("  ")),
    ).toBe(true);
    const path = "/".padEnd(100, "x");
    expect(wrapped(`in ${path} it is`)).toBe(`in\n${path}\nit is`);
  });

  it("are shortened in the middle", () => {
    expect(shortened("loading /a/long/path/model.gguf", 20)).toBe("loadin…th/model.gguf");
    expect(shortened("short", 5)).toBe("short");
  });

  it("set paragraphs of help anew, put notes before examples, and continue long ones as a shell does", () => {
    const command = `picospec run "Tell me a story about a fox." --cloud ws://127.0.0.1:4747 --model drafter.gguf --seed 7`;
    const text = helpText(
      `\n${"It says this. ".repeat(4).trim()}\n${"And that. ".repeat(4).trim()}\n\nExamples:\n  $ ${command}      (a note)\n`,
    );
    expect(widest(text)).toBeLessThanOrEqual(COLUMNS);
    expect(text).toContain("this.\nIt says".replace("\n", " "));
    expect(text).toContain("Examples:\n  # a note\n  $ picospec run");
    const continued = text
      .slice(text.indexOf("  $ "))
      .trim()
      .replaceAll(/ \\\n\s+/g, " ");
    expect(continued).toBe(`$ ${command}`);
    expect(text).not.toMatch(/--\w+ \\$/m);
  });
});

describe("a table", () => {
  it("is one where it fits, with the first column left and the others right", () => {
    expect(
      table([
        ["", "a", "b"],
        ["x", "10", "2"],
      ]),
    ).toBe("     a   b\nx   10   2");
  });

  it("breaks headings, and then becomes several tables that lose no cell", () => {
    const head = ["policy", ...Array.from({ length: 12 }, (_, i) => `what number ${i} means`)];
    const rows = ["cloud", "race"].map((name) => [name, ...head.slice(1).map((_, i) => `${name}${i}`)]);
    const text = table([head, ...rows]);
    expect(widest(text)).toBeLessThanOrEqual(COLUMNS);
    for (const cell of rows.flat()) expect(text).toContain(cell);
    const few = table([head.slice(0, 5), ...rows.map((row) => row.slice(0, 5))]);
    expect(widest(few)).toBeLessThanOrEqual(COLUMNS);
    expect(few).not.toContain("\n\n");
  });
});
