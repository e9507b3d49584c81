import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import * as lab from "../lab/index.ts";
import { commands as allCommands } from "../src/cli/main.ts";
import { POLICIES } from "../src/decoding/policy.ts";
import * as library from "../src/index.ts";
import { FrameType, PROTOCOL_LIMITS } from "../src/protocol/frame.ts";
import { GOLDEN } from "./support/golden-frames.ts";

/** What a machine can see of the documentation: that it names what there is, and that its bytes are right. */

const read = (path: string) => readFileSync(path, "utf8");
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "deploy/README.md",
  "models/README.md",
  "examples/README.md",
  "examples/vllm/README.md",
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const README = read("README.md");
const PROTOCOL = read("docs/protocol.md");
const commands = allCommands();

/** Fenced blocks of a language, without their fences. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);
}

const withoutSpace = (text: string) => text.replaceAll(/\s/g, "");

/** First cells of the table rows that start with code. */
function namedInTables(page: string): string[] {
  return [...page.matchAll(/^\| `([^`]+)` *\|/gm)].map((match) => match[1]!);
}

/** What is wrong with a command line, as `picospec …` or `npx picospec …` in the text. */
function wrong(line: string): string[] {
  const [, name, rest] = /^(?:npx )?picospec (\S+)(.*)$/.exec(line)!;
  const command = commands.find((one) => one.name() === name);
  if (!command) return [`there is no command ${name} (${line})`];
  const options = [...rest!.matchAll(/(?<= )--[a-z-]+/g)].map(([option]) => option);
  return options.filter((option) => !takes(command, option)).map((option) => `${name} takes no ${option}`);
}

function takes(command: Command, option: string): boolean {
  return option === "--help" || command.options.some(({ long }) => long === option);
}

/** Command lines in code, also where several are joined. */
function commandLines(page: string): string[] {
  const code = [...blocks(page, "bash"), ...[...page.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!)];
  return code
    .flatMap((text) => text.split(/\n|&&/))
    .map((line) => line.trim())
    .filter((line) => /^(npx )?picospec \S/.test(line));
}

describe("README", () => {
  it.each(["npm ci && npx picospec demo", "npm ci && npm test"])("has a block with %s", (line) => {
    expect(blocks(README, "bash")).toContain(`${line}\n`);
  });

  it("names every command in its table, and none that is not there", () => {
    const listed = namedInTables(README).filter((name) => name.startsWith("picospec "));
    expect(listed.sort()).toEqual(commands.map((command) => `picospec ${command.name()}`).sort());
  });

  it("names every policy in its table", () => {
    expect(namedInTables(README)).toEqual(expect.arrayContaining(Object.keys(POLICIES)));
  });
});

describe.each(PAGES)("%s", (path) => {
  const page = read(path);

  it("only has commands and options that there are", () => {
    expect(commandLines(page).flatMap(wrong)).toEqual([]);
  });

  it("only links to files and headings that there are", () => {
    expect(brokenLinks(path, page)).toEqual([]);
  });
});

// The changelog tells what was.
describe.each(PAGES.filter((path) => path !== "CHANGELOG.md"))("%s", (path) => {
  it("only names files and folders that there are", () => {
    expect(missingFiles(read(path))).toEqual([]);
  });
});

/** Files and folders of the repository in code spans; a * stands for the rest of a name. */
function missingFiles(page: string): string[] {
  const named = [...page.matchAll(/`((?:src|lab|test|docs|scripts|examples|models)\/[\w./*-]*)`/g)];
  return named
    .map((match) => match[1]!)
    .filter((path) => {
      const [before, after] = path.split("*") as [string, string?];
      if (after === undefined) return !existsSync(path);
      const folder = dirname(`${before}x`);
      const names = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
      return !names.some((name) => name.startsWith(before) && name.endsWith(after));
    });
}

function brokenLinks(path: string, page: string): string[] {
  const prose = page.replaceAll(/^```.*?^```$/gms, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [file, heading] = link.split("#") as [string, string?];
    const target = file === "" ? path : join(dirname(path), file);
    if (!existsSync(target)) return true;
    return heading !== undefined && !headings(read(target)).includes(heading);
  });
}

/** Anchors as GitHub makes them. */
function headings(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

const PACKAGE: Record<string, object> = { picospec: library, "picospec/lab": lab };

/** Runs an example that waits for nothing, by the sources. @returns what it printed, call by call */
function printedBy(example: string): unknown[][] {
  const body = example.replaceAll(/^import (\{[^}]*\}) from ("[^"]+");$/gm, "const $1 = modules[$2];");
  const printed: unknown[][] = [];
  const log = (...values: unknown[]) => printed.push(values);
  new Function("modules", "console", body)(PACKAGE, { log });
  return printed;
}

describe("examples under virtual time", () => {
  it("of docs/architecture.md: edge, cloud and network", () => {
    const [program] = blocks(read("docs/architecture.md"), "js");
    const printed = printedBy(program!);
    expect(printed.map(([outcome, tokens]) => [outcome, tokens])).toEqual([["done", 200]]);
  });

  it("of README: the simulator", () => {
    const program = blocks(README, "js").find((text) => text.includes("picospec/lab"));
    const lines = printedBy(program!).map(([line]) => line);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe("cloud: 1.00x");
    expect(lines[2]).toMatch(/^race: \d\.\d\dx$/);
  }, 30_000);
});

describe("docs/protocol.md", () => {
  const examples = blocks(PROTOCOL, "hex").map(withoutSpace);

  it.each(GOLDEN)("prints the bytes of: $name", ({ hex }) => {
    expect(examples).toContain(withoutSpace(hex));
  });

  it("prints no other bytes", () => {
    const golden = GOLDEN.map(({ hex }) => withoutSpace(hex));
    expect(examples.filter((example) => !golden.includes(example))).toEqual([]);
  });

  it("shows the JSON of every control frame as it is in its bytes", () => {
    const objects = blocks(PROTOCOL, "text").filter((text) => text.startsWith("{"));
    const shown = objects.map((text) => Buffer.from(text.trim()).toString("hex"));
    const control = GOLDEN.filter(({ frame }) =>
      ["hello", "welcome", "open", "done", "error", "goAway"].includes(frame.type),
    );
    for (const { hex } of control) {
      expect(shown.some((json) => withoutSpace(hex).endsWith(json))).toBe(true);
    }
    expect(shown).toHaveLength(control.length);
  });

  it("describes every error code, and none that is not there", () => {
    const union = /ProtocolErrorCode =\n(.*?);/s.exec(read("src/protocol/errors.ts"))![1]!;
    const codes = [...union.matchAll(/"(\w+)"/g)].map((match) => match[1]!);
    const table = /^## Errors$(.*?)^## /ms.exec(PROTOCOL)![1]!;
    expect(codes.length).toBeGreaterThan(10);
    expect(namedInTables(table).sort()).toEqual(codes.sort());
  });

  it("has every limit with its value", () => {
    for (const [name, value] of Object.entries(PROTOCOL_LIMITS)) {
      expect(PROTOCOL).toMatch(new RegExp(`^\\| ${name} *\\| ${value.toLocaleString("en-US")} *\\|`, "m"));
    }
  });

  it("has every frame with its number", () => {
    for (const [name, number] of Object.entries(FrameType)) {
      expect(PROTOCOL).toMatch(new RegExp(`^\\| ${number} *\\| \\[\`${name}\`\\]`, "m"));
    }
  });
});

describe("these checks themselves", () => {
  it("see a command, an option, a link, a file and a heading that are not there", () => {
    expect(wrong("picospec fly --high")).toHaveLength(1);
    expect(wrong("npx picospec demo --fast --rtt 3")).toEqual(["demo takes no --fast"]);
    expect(commandLines("`picospec x` and\n```bash\nnpm ci && npx picospec y\n```\n")).toHaveLength(2);
    const page = "# A b\n[1](none.md) [2](#a-b) [3](#c) [4](README.md#licence) ![5](docs/none.svg)";
    expect(brokenLinks("x.md", page.replace("[2](#a-b) [3](#c)", ""))).toEqual(["none.md", "docs/none.svg"]);
    expect(headings(page)).toEqual(["a-b"]);
    const files = "`src/index.ts` `src/sim/x.ts` `test/docs*.test.ts` `test/none*.ts` `lab/none/` `lab`";
    expect(missingFiles(files)).toEqual(["src/sim/x.ts", "test/none*.ts", "lab/none/"]);
  });
});
