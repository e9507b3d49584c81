import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FORMATS } from "../src/text/formats/registry.ts";
import { WRITERS } from "./support/format-samples.ts";

/** docs/formats.md: its table is what the formats are. A row that is wrong is printed as it has to be. */

const code = (text: string) =>
  `\`${text.replaceAll("\n", "⏎").replaceAll("|", "\\|").replaceAll("`", "ˋ")}\``;

function rows(): string[] {
  return FORMATS.map(({ name, models, thinkingEnd }) => {
    const { calls, ids, thought } = WRITERS[name]!;
    const sample = [{ name: "add", args: { a: 3, s: "x y" } }];
    const cells = [
      ...[code(name), models.join(", "), code(calls(sample)), ids ? "yes" : ""],
      thinkingEnd === null || !thought ? "" : code(thought("…").trim()),
    ];
    return `| ${cells.join(" | ")} |`;
  });
}

const lines = (page: string) => page.split("\n").map((line) => line.trim());

describe("docs/formats.md", () => {
  const page = readFileSync("docs/formats.md", "utf8");

  it("has a row for each format, in the order in which they are tried", () => {
    expect(lines(page).filter((line) => line.startsWith("| `"))).toEqual(rows());
  });

  it("names no model in two rows", () => {
    const models = FORMATS.flatMap(({ models }) => models);
    expect(models.filter((model, index) => models.indexOf(model) !== index)).toEqual([]);
  });
});
