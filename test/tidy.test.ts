import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/** The house rules that a machine can see: who imports whom, how large things get, and what is left undone. */

/** The runtime, and the laboratory that predicts and measures it. */
const TREES = ["src", "lab"];
const MOST_FILE_LINES = 400;
const MOST_FUNCTION_LINES = 70;

/**
 * What each room may import from. A room may also import what its imports may. Files named here are rooms of
 * their own.
 */
const ROOMS: Record<string, readonly string[]> = {
  util: [],
  sampling: ["util"],
  decoding: ["sampling"],
  transport: ["util"],
  "transport/node": ["transport"],
  protocol: ["decoding", "transport"],
  text: ["util"],
  grammar: ["text"],
  "grammar/xgrammar": ["grammar", "decoding"],
  ops: ["util"],
  hub: ["util"],
  engine: ["decoding", "text", "grammar"],
  "engine/llama": ["engine"],
  edge: ["edge/core", "edge/drafters", "engine", "transport", "text", "protocol"],
  "edge/core": ["protocol"],
  "edge/drafters": ["edge/core", "engine"],
  cloud: ["cloud/core", "cloud/passes", "engine", "transport", "text", "protocol"],
  "cloud/core": ["protocol", "engine"],
  "cloud/passes": ["cloud/core"],
  "cloud/server.ts": ["cloud", "transport/node", "ops"],
  api: ["edge", "text", "ops"],
  "api/openai": ["api"],
  "api/server.ts": ["api/openai"],
  device: ["edge", "api/server.ts", "hub", "engine/llama", "grammar/xgrammar", "transport/node"],
  cli: ["device", "cloud/server.ts", "lab"],
  "index.ts": ["edge", "cloud"],
  "node.ts": ["index.ts", "device", "cloud/server.ts"],
  lab: ["lab/sim", "lab/bench"],
  "lab/models": ["decoding"],
  "lab/tasks": ["sampling"],
  "lab/plots": ["util"],
  "lab/sim": ["lab/models", "edge", "cloud"],
  "lab/bench": ["lab/sim", "lab/plots", "lab/tasks", "cloud/server.ts", "engine/llama", "transport/node"],
};

/** Where Node itself may be used. Clock, timers and randomness enter from there, as arguments. */
const NODE_ROOMS = [
  "transport/node",
  "engine/llama",
  "grammar/xgrammar",
  "cloud/server.ts",
  "api/server.ts",
  "hub",
  "device",
  "lab/bench",
  "cli",
  "node.ts",
];

/** Globals that would let time, chance or the machine in through the back door. */
const FORBIDDEN_GLOBALS =
  /\b(?:process|Buffer|setTimeout|setInterval|setImmediate|performance|console|Date\.now|Math\.random|new Date)\b/;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

function sources(): SourceFile[] {
  return TREES.flatMap((tree) => readdirSync(tree, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return sourceFile(path, readFileSync(path, "utf8"));
    });
}

function sourceFile(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  return { path, room: roomOf(path), text, tree };
}

/** The innermost room that a file is in. Rooms of the runtime go by their names within src. */
function roomOf(file: string): string {
  const path = file.startsWith("src/") ? file.slice("src/".length) : file;
  const rooms = Object.keys(ROOMS).filter((room) => path === room || path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? "";
}

/** Everything that a room may import, through its imports as well. */
function reach(room: string, seen = new Set<string>()): Set<string> {
  for (const next of ROOMS[room] ?? []) {
    if (seen.has(next)) continue;
    seen.add(next);
    reach(next, seen);
  }
  return seen;
}

function imports(tree: ts.SourceFile): string[] {
  return tree.statements
    .filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement))
    .map((statement) => statement.moduleSpecifier)
    .filter((specifier) => specifier !== undefined && ts.isStringLiteral(specifier))
    .map((specifier) => specifier.text);
}

function breaches({ path, room, tree }: SourceFile): string[] {
  const allowed = reach(room);
  return imports(tree)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => roomOf(join(path, "..", specifier)))
    .filter((target) => target !== room && !allowed.has(target))
    .map((target) => `${path}: ${room} may not import ${target || "what is in no room"}`);
}

function longFunctions({ path, tree }: SourceFile): string[] {
  const long: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line;
      const lines = line(node.end) - line(node.getStart()) + 1;
      if (lines > MOST_FUNCTION_LINES) long.push(`${path}:${line(node.getStart()) + 1} has ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return long;
}

/** Lines with a token on them: comments and blank lines are free. */
function linesOfCode(tree: ts.SourceFile): number {
  const lines = new Set<number>();
  const visit = (node: ts.Node) => {
    if (ts.isJSDoc(node)) return;
    if (node.getChildCount() > 0) {
      node.getChildren().forEach(visit);
      return;
    }
    const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line;
    for (let i = line(node.getStart()); i <= line(node.end) && node.end > node.getStart(); i++) lines.add(i);
  };
  visit(tree);
  return lines.size;
}

const all = sources();
const shipped = all.filter(({ path }) => !path.endsWith(".test.ts"));

describe("the house", () => {
  it("has every file in a room", () => {
    expect(all.filter(({ room }) => room === "").map(({ path }) => path)).toEqual([]);
  });

  it("keeps to who may import whom", () => {
    expect(shipped.flatMap(breaches)).toEqual([]);
  });

  it("has the rooms that docs/architecture.md shows", () => {
    const table = readFileSync("docs/architecture.md", "utf8").matchAll(
      /^\| `([\w/.]+)` +\| [^|]+\| ([^|]+) \|$/gm,
    );
    const shown = [...table]
      .map(
        ([, room, imports]) => [room, [...imports!.matchAll(/`([^`]+)`/g)].map(([, name]) => name)] as const,
      )
      .filter(([room]) => room! in ROOMS);
    const inOrder = (imports: readonly string[]) => [...imports].sort();
    expect(Object.fromEntries(shown.map(([room, imports]) => [room, inOrder(imports as string[])]))).toEqual(
      Object.fromEntries(Object.entries(ROOMS).map(([room, imports]) => [room, inOrder(imports)])),
    );
  });

  it("uses Node only where it may", () => {
    const outside = shipped.filter(({ room }) => !NODE_ROOMS.includes(room));
    const modules = outside.filter(({ tree }) =>
      imports(tree).some((name) => /^(node:|ws$|koffi$)/.test(name)),
    );
    expect(modules.map(({ path }) => path)).toEqual([]);
    const globals = outside.filter(({ tree }) => FORBIDDEN_GLOBALS.test(withoutComments(tree)));
    expect(globals.map(({ path }) => path)).toEqual([]);
  });

  it(`has no file over ${MOST_FILE_LINES} lines of code and no function over ${MOST_FUNCTION_LINES}`, () => {
    const files = all.filter(({ tree }) => linesOfCode(tree) > MOST_FILE_LINES);
    expect(files.map(({ path }) => path)).toEqual([]);
    expect(shipped.flatMap(longFunctions)).toEqual([]);
  });

  it("leaves nothing to do", () => {
    const marker = new RegExp(["TO", "DO|FIX", "ME|X", "XX"].join(""));
    expect(all.filter(({ text }) => marker.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it("exports by name only", () => {
    const defaults = shipped.filter(({ text }) => /^export default/m.test(text));
    expect(defaults.map(({ path }) => path)).toEqual([]);
  });
});

describe("the house rules themselves", () => {
  it("see a breach", () => {
    const text = 'import { Cloud } from "../cloud/cloud.ts";\nexport { x } from "../cli/main.ts";';
    expect(breaches(sourceFile("src/edge/x.ts", text))).toHaveLength(2);
    expect(breaches(sourceFile("src/cloud/x.ts", 'import "../engine/llama/abi.ts";'))).toHaveLength(1);
    expect(breaches(sourceFile("src/cloud/x.ts", 'import "./server.ts";'))).toHaveLength(1);
    expect(breaches(sourceFile("src/device/x.ts", 'import "../../lab/sim/world.ts";'))).toHaveLength(1);
  });

  it("see a long function", () => {
    const text = `function f() {\n${"x();\n".repeat(80)}}`;
    expect(longFunctions(sourceFile("src/util/x.ts", text))).toHaveLength(1);
  });

  it("count lines of code, and neither comments nor blank lines", () => {
    const text = "/** A comment\n * of two lines. */\nconst x = `a\nb`;\n\n// more\nx;\n";
    expect(linesOfCode(sourceFile("src/util/x.ts", text).tree)).toBe(3);
  });

  it("see time come in by a global, and not in a comment", () => {
    const globals = (text: string) =>
      FORBIDDEN_GLOBALS.test(withoutComments(sourceFile("src/util/x.ts", text).tree));
    expect(globals("const now = performance.now();")).toBe(true);
    expect(globals("// performance.now() is not for us\nconst x = 1;")).toBe(false);
  });
});

/** The code as text, without comments and strings. */
function withoutComments(tree: ts.SourceFile): string {
  const parts: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node) || ts.isJSDoc(node)) return;
    if (node.getChildCount() === 0) parts.push(node.getText());
    else node.getChildren().forEach(visit);
  };
  visit(tree);
  return parts.join(" ").replaceAll(" . ", ".");
}
