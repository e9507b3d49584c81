import { existsSync, readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/** The threat model, docs/security.md: each threat's test is there, under the title that the table has. */

interface Threat {
  readonly threat: string;
  readonly done: string;
  readonly file: string;
  readonly title: string;
}

function threatsOf(page: string): Threat[] {
  const section = /^## Threats$(.*?)^## /ms.exec(page)![1]!;
  const rows = section.split("\n").filter((line) => line.startsWith("| "));
  return rows.slice(2).map((row) => {
    const [, threat = "", done = "", test = ""] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const [, file = "", title = ""] = /^`([^`]+)`: "(.+)"$/.exec(test) ?? [];
    return { threat, done, file, title };
  });
}

/** Titles of a file's tests and groups of tests; of a template, what comes before its first value. */
function titlesIn(path: string): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isCallExpression(node) && /^(?:it|test|describe)\b/.test(node.expression.getText(tree))) {
      const [first] = node.arguments;
      if (first && ts.isStringLiteralLike(first)) titles.push(first.text);
      if (first && ts.isTemplateExpression(first)) titles.push(first.head.text);
    }
    ts.forEachChild(node, visit);
  };
  const tree = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2022, true);
  visit(tree);
  return titles;
}

/** What is wrong with a row of the table; "": nothing */
function problem({ threat, done, file, title }: Threat): string {
  if (threat === "" || done === "") return "a row says what the threat is, and what is done";
  if (!file.endsWith(".test.ts") || !existsSync(file)) return `${threat} There is no test file ${file}`;
  if (title.length < 3 || !titlesIn(file).some((one) => one.startsWith(title))) {
    return `${threat} ${file} has no test whose title begins with "${title}"`;
  }
  return "";
}

describe("the threat model", () => {
  const threats = threatsOf(readFileSync("docs/security.md", "utf8"));

  it("has a test for each threat", () => {
    expect(threats.length).toBeGreaterThan(25);
    expect(threats.map(problem).filter((one) => one !== "")).toEqual([]);
  });

  it("has each threat once", () => {
    const names = threats.map(({ threat }) => threat);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it("control: a file, a title and a row that are not there are found", () => {
    const page = (test: string) =>
      `## Threats\n\n| threat | done | test |\n| - | - | - |\n| A. | B. | ${test} |\n\n## x\n`;
    const found = (test: string) => threatsOf(page(test)).map(problem);
    expect(found('`test/security.test.ts`: "has each threat once"')).toEqual([""]);
    expect(found('`test/nowhere.test.ts`: "has each threat once"')).toEqual([
      expect.stringMatching(/no test file/),
    ]);
    expect(found('`test/security.test.ts`: "has no threat"')).toEqual([
      expect.stringMatching(/no test whose title/),
    ]);
    expect(found("none")).toEqual([expect.stringMatching(/no test file/)]);
  });
});
