import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { commands, main } from "../src/cli/main.ts";

/** What users read (messages, help, README) keeps to the field's terms: one word, one meaning. */

/** Words that have a term in their place. */
const INSTEAD: readonly (readonly [words: RegExp, term: string])[] = [
  [/\b(?:fell|fallen)\b/i, "rejected, or discarded"],
  [/\b(?:drafts?|tokens?|it) falls?\b/i, "rejected, or discarded"],
  [/\b(?:stood|stands?)\b/i, "accepted, or committed"],
  [/\b(?:nobody|no one)\b/i, '"no client", "no session"'],
  [/\b(?:somebody|someone|whoever)\b/i, '"another session", "the peer", "a client"'],
  [/\b(?:left|leaves?|leaving) out\b/i, "default, omitted, or dropped"],
  [/\b(?:comes?|came|coming) to\b/i, "returns, gives, or reaches"],
  [/\bwhom to\b/i, "listen address"],
  [/\blooks? into the text\b/i, "prompt lookup"],
  [/\bpaces?\b/i, "hardware profile, or launch timing"],
  [/\b(?:fewer|with one) sequences?\b|\bsequences of $/i, "KV slot"],
];

/** The same words as data, or as names that are part of an interface: file, and the string that has them. */
const ALLOWED: readonly (readonly [file: string, text: RegExp])[] = [
  // Texts of the held-out tasks: what models are trained on and asked.
  ["lab/tasks/data.ts", /^Sends a message to somebody$/],
  ["lab/tasks/math.ts", /^Somebody takes $/],
  ["lab/tasks/story.ts", /^ knew somebody at the $/],
  // The flag of release 0.1, which help does not show.
  ["src/cli/options.ts", /^--pace <name>$/],
];

interface Text {
  readonly where: string;
  readonly text: string;
}

function offences(texts: readonly Text[]): string[] {
  return texts.flatMap(({ where, text }) =>
    INSTEAD.flatMap(([words, term]) => {
      const found = words.exec(text);
      return found ? [`${where}: "${found[0]}" in "${line(text, found.index)}"; say ${term}`] : [];
    }),
  );
}

/** The line that an index is in. */
function line(text: string, index: number): string {
  const from = text.lastIndexOf("\n", index) + 1;
  const to = text.indexOf("\n", index);
  return text.slice(from, to < 0 ? undefined : to).trim();
}

const allowed = ({ where, text }: Text) =>
  ALLOWED.some(([file, pattern]) => where.startsWith(`${file}:`) && pattern.test(text));

/** Every string and piece of a template in a source, its imports' names excepted. */
function stringsOf(path: string, source: string): Text[] {
  const tree = ts.createSourceFile(path, source, ts.ScriptTarget.ES2022, true);
  const texts: Text[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      const { line: row } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
      texts.push({ where: `${path}:${row + 1}`, text: node.text });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return texts;
}

function sources(): Text[] {
  return ["src", "lab"]
    .flatMap((tree) => readdirSync(tree, { recursive: true, withFileTypes: true }))
    .filter(({ name }) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((path) => stringsOf(path, readFileSync(path, "utf8")));
}

describe("messages, help and README use the table of words", () => {
  const texts = sources();
  let shown = "";

  beforeAll(() => {
    // main watches for a closed pipe, each time.
    vi.spyOn(process.stdout, "on").mockReturnValue(process.stdout);
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
      shown += chunk;
      return true;
    });
  });

  afterAll(() => vi.restoreAllMocks());

  it("in every string of src and lab", () => {
    expect(texts.length).toBeGreaterThan(3000);
    expect(offences(texts.filter((text) => !allowed(text)))).toEqual([]);
  });

  it("with exceptions that are all needed", () => {
    const unused = ALLOWED.filter(
      ([file, pattern]) =>
        !texts.some(
          (text) =>
            text.where.startsWith(`${file}:`) && pattern.test(text.text) && offences([text]).length > 0,
        ),
    );
    expect(unused).toEqual([]);
  });

  it.each([
    "",
    ...commands().map((command) => command.name()),
  ])("in the help of picospec %s", async (name) => {
    shown = "";
    expect(await main(name === "" ? ["--help"] : [name, "--help"])).toBe(0);
    expect(shown).toContain("Usage: picospec");
    expect(offences([{ where: `picospec ${name} --help`, text: shown.replace(/\s+/g, " ") }])).toEqual([]);
  });

  it("in the README", () => {
    const paragraphs = readFileSync("README.md", "utf8").split("\n");
    expect(offences(paragraphs.map((text, i) => ({ where: `README.md:${i + 1}`, text })))).toEqual([]);
  });

  it("control: a word that is not wanted is found in strings and templates, not in comments or imports", () => {
    const source = [
      'import { x } from "./nobody.ts";',
      "// nobody reads this",
      "/** what nobody reads */",
      'throw new Error("nobody listens");',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source.
      "say(`head ${1} drafts that stood ${2} and whom to ask`);",
      'call({ help: "drafts that fell" });',
    ].join("\n");
    expect(offences(stringsOf("src/planted.ts", source)).map((text) => text.split('"')[1])).toEqual([
      "nobody",
      "stood",
      "whom to",
      "fell",
    ]);
  });

  it.each([
    ...["a draft fell", "drafts stand", "nobody to go on", "whoever asks", "the oldest turn is left out"],
    ...["what it comes to", "a look into the text", "unknown pace", "ask for fewer sequences"],
  ])("control: %s", (text) => {
    expect(offences([{ where: "here", text }])).toHaveLength(1);
  });

  it.each([
    "a standard profile",
    "falls back to the other",
    "the understanding",
    "namespace",
    "come together",
  ])("control: %s is as well as any other text", (text) => {
    expect(offences([{ where: "here", text }])).toEqual([]);
  });
});
