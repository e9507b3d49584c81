import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import {
  circles,
  deadExports,
  importGraph,
  type Module,
  reachable,
  relativeImports,
  specifiers,
} from "./support/modules.ts";

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
  grammar: ["decoding", "text"],
  "grammar/ebnf": ["util"],
  "grammar/schema": ["decoding"],
  "grammar/llguidance": ["grammar", "grammar/ebnf", "grammar/schema"],
  ops: ["util"],
  "ops/cloud": ["ops", "cloud"],
  "ops/edge": ["ops", "edge"],
  hub: ["util"],
  engine: ["decoding", "text", "grammar"],
  "engine/llama": ["engine"],
  "engine/vllm": ["engine"],
  edge: ["edge/core", "edge/drafters", "engine", "transport", "text", "protocol"],
  "edge/core": ["protocol"],
  "edge/drafters": ["edge/core", "engine"],
  cloud: ["cloud/core", "cloud/passes", "cloud/live", "engine", "transport", "text", "protocol"],
  "cloud/trust": ["protocol"],
  "cloud/core": ["protocol", "engine", "cloud/trust"],
  "cloud/passes": ["cloud/core"],
  "cloud/live": ["cloud/core"],
  "cloud/server.ts": ["cloud", "transport/node"],
  api: ["edge", "text", "grammar/ebnf", "grammar/schema"],
  "api/schema": ["api"],
  "api/openai": ["api", "api/schema"],
  "api/ollama": ["api", "api/schema"],
  "api/llama-server": ["api", "api/schema"],
  "api/app.ts": ["api"],
  "api/faces.ts": ["api/openai", "api/ollama", "api/llama-server"],
  "api/server.ts": ["api/app.ts", "api/faces.ts", "ops/edge", "transport/node"],
  device: [
    "edge",
    "cloud/server.ts",
    "api/server.ts",
    "ops/cloud",
    "hub",
    "engine/llama",
    "engine/vllm",
    "grammar/llguidance",
    "transport/node",
  ],
  cli: ["device", "cloud/server.ts", "lab"],
  "index.ts": ["edge", "cloud", "grammar/llguidance"],
  "node.ts": ["index.ts", "device", "cloud/server.ts"],
  lab: ["lab/sim", "lab/bench", "lab/conformance"],
  "lab/conformance": ["lab/models", "edge", "cloud"],
  "lab/models": ["decoding"],
  "lab/tasks": ["sampling"],
  "lab/plots": ["util"],
  "lab/sim": ["lab/models", "edge", "cloud"],
  "lab/bench": [
    "lab/sim",
    "lab/plots",
    "lab/tasks",
    "cloud/server.ts",
    "engine/llama",
    "grammar/schema",
    "transport/node",
  ],
};

/** Where Node itself may be used. Clock, timers and randomness enter from there, as arguments. */
const NODE_ROOMS = [
  "transport/node",
  "engine/llama",
  "engine/vllm",
  "cloud/server.ts",
  "api/server.ts",
  "ops",
  "ops/cloud",
  "ops/edge",
  "hub",
  "device",
  "lab/bench",
  "cli",
  "node.ts",
];

/** Globals that would let time, chance or the machine in through the back door. */
const FORBIDDEN_GLOBALS =
  /\b(?:process|Buffer|setTimeout|setInterval|setImmediate|performance|console|Date\.now|Math\.random|new Date)\b/;

/**
 * Rooms that do no I/O and know no transport, by the layout: all that a core may reach, directly or not. Not the
 * shells among their files: what performs effects, and links.
 */
const PURE_ROOMS = ["util", "sampling", "decoding", "protocol", "text", "grammar", "engine", "cloud/trust"];
const SHELL_FILES = /\/(?:driver|connection|server|link|opener)\.ts$/;

/** Files whose exports are the package's. */
const ENTRY_POINTS = ["src/index.ts", "src/node.ts", "lab/index.ts"];

interface Listed {
  readonly why: string;
  /** by file */
  readonly exports: Readonly<Record<string, readonly string[]>>;
}

/** Exports that tests alone import, or nothing yet. Types in their signatures need no line. */
const LISTED: readonly Listed[] = [
  {
    why: "formulas of the papers and models of ours, which tests hold the simulator and each other against",
    exports: {
      "lab/models/colocated.ts": ["plainTokensPerSecond"],
      "lab/models/formulas.ts": [
        ...["asyncLatencyMs", "breakEvenRttMs", "bubbleMs", "expectedCycleMs", "hitMs", "hitProbability"],
        ...["missMs", "overlapLimit", "publishedSpeedUpLimit", "stopAndWaitTokensPerSecond"],
        "tokensPerCycle",
      ],
      "lab/models/paper.ts": ["bestFit", "impliedAcceptance", "rowErrors"],
      "lab/models/statistics.ts": ["sameFrequencies", "tally", "upperGamma"],
      "lab/models/renewal.ts": ["brokenAssumptions", "firstTokenMs", "steadyRate"],
    },
  },
  {
    why: "a part that is tested alone: the whole would need a model, a network or minutes to show as much",
    exports: {
      "lab/bench/eval.ts": ["judge"],
      "lab/bench/grid-paired.ts": ["studentT95"],
      "lab/bench/grid-report.ts": ["comparison"],
      "lab/bench/grid.ts": ["picospecSizes"],
      "lab/bench/paper-report.ts": ["columnReport", "draftLengthReport"],
      "lab/bench/scale-report.ts": ["sessionsAt"],
      "lab/models/fit.ts": ["fitLine", "fitMedian", "fitNetwork", "fitPass", "quantiles"],
      "lab/tasks/draw.ts": ["splitOf"],
      "src/cli/doctor/models.ts": ["neededBytes"],
      "src/cli/last-resort.ts": ["faultCounter"],
      "src/device/edges.ts": ["plansOf"],
      "src/device/endpoint.ts": ["linkProblem"],
      "src/engine/llama/footprint.ts": ["attention"],
      "src/hub/listing.ts": ["filesIn", "nextPage"],
      "src/hub/request.ts": ["sha256In"],
      "src/hub/status.ts": ["retryAfterMs"],
      "src/sampling/noise.ts": ["plainKernel"],
      "src/sampling/whole-row.ts": ["plainRowKernel"],
      "src/util/setting.ts": ["allowedText"],
    },
  },
  {
    why: "bounds and tables that tests compare with what they describe, and controls switch off",
    exports: {
      "src/api/body-budget.ts": ["BODY_LIMITS"],
      "src/engine/llama/tokenizer-process.ts": ["TOKENIZER_LIMITS"],
      "src/text/formats/registry.ts": ["FORMATS"],
      "src/text/tame.ts": ["TAME_LIMITS"],
      "src/transport/node/traffic.ts": ["TRAFFIC_LIMITS"],
      "lab/sim/sweep.ts": ["MOST_SWEEP_VALUES"],
      "src/cli/chat-input.ts": ["CHAT_COMMANDS"],
      "src/cli/doctor/machine.ts": ["LEAST_NODE"],
      "src/edge/drafters/lookup.ts": ["LOOKUP"],
      "src/ops/pino-log.ts": ["LOG_LIMITS"],
    },
  },
];

/** Programs that import what is built: folders, not their folders. */
const PROGRAMS = ["bin", "scripts", "models/recipe"];

const NODE_MODULES = /^(node:|ws$|koffi$|pino$|prom-client$)/;

interface SourceFile extends Module {
  readonly room: string;
  readonly text: string;
}

function sources(...trees: readonly string[]): SourceFile[] {
  return trees
    .flatMap((tree) => readdirSync(tree, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return sourceFile(path, readFileSync(path, "utf8"));
    });
}

function sourceFile(path: string, text: string): SourceFile {
  const how = { languageVersion: ts.ScriptTarget.ES2022, jsDocParsingMode: ts.JSDocParsingMode.ParseNone };
  const tree = ts.createSourceFile(path, text, how, true);
  return { path, room: roomOf(path), text, tree };
}

/** The innermost room that a file is in. Rooms of the runtime go by their names within src. */
function roomOf(file: string): string {
  const path = file.startsWith("src/") ? file.slice("src/".length) : file;
  const rooms = Object.keys(ROOMS).filter((room) => path === room || path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? "";
}

function breaches(file: SourceFile): string[] {
  const { path, room } = file;
  const allowed = reachable(new Map(Object.entries(ROOMS)), room);
  return relativeImports(file)
    .map(({ target }) => roomOf(target))
    .filter((target) => target !== room && !allowed.has(target))
    .map((target) => `${path}: ${room} may not import ${target || "what is in no room"}`);
}

/** What cores reach that is not pure. */
function impureCores(files: readonly SourceFile[]): string[] {
  const graph = importGraph(files);
  return files
    .filter(({ room }) => room.endsWith("/core"))
    .flatMap(({ path, room, tree }) => {
      const impure = [...reachable(graph, path)].filter((target) => {
        const pure = PURE_ROOMS.includes(roomOf(target)) || roomOf(target) === room;
        return !pure || SHELL_FILES.test(target);
      });
      const modules = specifiers(tree).filter((name) => NODE_MODULES.test(name));
      return [...impure, ...modules].map((target) => `${path}: a core may not reach ${target}`);
    });
}

/** Room, then the rooms that its files import. */
function roomGraph(files: readonly SourceFile[]): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  for (const file of files) {
    const targets = relativeImports(file).map(({ target }) => roomOf(target));
    const others = targets.filter((room) => room !== file.room);
    graph.set(file.room, new Set([...(graph.get(file.room) ?? []), ...others]));
  }
  return graph;
}

/** Lines with code on them: comments and blank lines are free. */
function codeLines({ tree }: SourceFile): number {
  const lines = new Set<number>();
  const visit = (node: ts.Node) => {
    if (node.getChildCount(tree) > 0) {
      node.getChildren(tree).forEach(visit);
      return;
    }
    const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line;
    const last = tree.getLineAndCharacterOfPosition(node.end).line;
    if (node.end > node.getStart(tree)) for (let line = first; line <= last; line++) lines.add(line);
  };
  visit(tree);
  return lines.size;
}

/** All lines, which are fast to count. */
function lines({ text }: SourceFile): number {
  return text.split("\n").length;
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

const all = sources(...TREES);
const programs = PROGRAMS.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => /\.m?js$/.test(path))
  .map((path) => sourceFile(path, readFileSync(path, "utf8")));
/** The list as a program that imports what is on it. */
const listed = sourceFile(
  "list.ts",
  LISTED.flatMap(({ exports }) => Object.entries(exports))
    .map(([path, names]) => `import { ${names.join(", ")} } from "./${path}";`)
    .join("\n"),
);
const shipped = all.filter(({ path }) => !path.endsWith(".test.ts"));

describe("the house", () => {
  it("has every file in a room", () => {
    expect(all.filter(({ room }) => room === "").map(({ path }) => path)).toEqual([]);
  });

  it("keeps to who may import whom", () => {
    expect(shipped.flatMap(breaches)).toEqual([]);
  });

  it("has cores that reach no shell", () => {
    expect(impureCores(shipped)).toEqual([]);
  });

  it("has no circle of rooms, in the table or in fact, and none of files", () => {
    expect(circles(new Map(Object.entries(ROOMS)))).toEqual([]);
    expect(circles(roomGraph(shipped))).toEqual([]);
    expect(circles(importGraph(shipped))).toEqual([]);
  });

  it("exports nothing that nothing imports, but for what is listed with its reason", () => {
    expect(deadExports(shipped, ENTRY_POINTS, [...programs, listed])).toEqual([]);
  });

  it("lists no export that is in use, or no longer there", () => {
    const dead = deadExports(shipped, ENTRY_POINTS, programs);
    const names = LISTED.flatMap(({ exports }) => Object.entries(exports)).flatMap(([path, names]) =>
      names.map((name) => `${path}: ${name}`),
    );
    expect(names.filter((name) => !dead.includes(name))).toEqual([]);
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
    const modules = outside.filter(({ tree }) => specifiers(tree).some((name) => NODE_MODULES.test(name)));
    expect(modules.map(({ path }) => path)).toEqual([]);
    const globals = outside.filter(
      ({ text, tree }) => FORBIDDEN_GLOBALS.test(text) && FORBIDDEN_GLOBALS.test(withoutComments(tree)),
    );
    expect(globals.map(({ path }) => path)).toEqual([]);
  });

  it(`has no file over ${MOST_FILE_LINES} lines of code and no function over ${MOST_FUNCTION_LINES}`, () => {
    const files = all.filter((file) => lines(file) > MOST_FILE_LINES && codeLines(file) > MOST_FILE_LINES);
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

  it("see a dead export, of values, types and what is handed on", () => {
    const file = `export const used = 1; export const dead = 2;
      export interface Shown { inner: Inner } export interface Inner { x: 1 } export interface Hidden { x: 1 }
      interface Way { out: Far } export type Far = 1;
      export function f(shown: Shown): Way { const hidden: Hidden = { x: 1 }; return go(hidden); }
      export class Box { private own: Kept | null = null; } export interface Kept { x: 1 }
      export { elsewhere } from "./b.ts";`;
    const modules = [
      sourceFile("src/util/a.ts", file),
      sourceFile("src/util/b.ts", "export const elsewhere = 1; export const all = 2;"),
      sourceFile("src/util/c.ts", 'import { used as other, f, type Box } from "./a.ts";'),
    ];
    const names = (modules: SourceFile[], ...rest: [string[], SourceFile[]]) =>
      deadExports(modules, ...rest).map((dead) => dead.replace(/.*: /, ""));
    expect(names(modules, [], [])).toEqual(["dead", "Hidden", "Kept", "elsewhere", "all"]);
    expect(names(modules, ["src/util/a.ts"], [])).toEqual(["all"]);
    const built = sourceFile("scripts/x.mjs", 'import * as b from "../dist/src/util/b.js";');
    expect(names(modules, ["src/util/a.ts"], [built])).toEqual([]);
    expect(
      deadExports([...shipped, sourceFile("src/util/x.ts", "export const x = 1;")], ENTRY_POINTS, [
        ...programs,
        listed,
      ]),
    ).toEqual(["src/util/x.ts: x"]);
  });

  it("see a core that imports a shell, directly or not", () => {
    const reached = (...files: [path: string, text: string][]) =>
      impureCores(files.map(([path, text]) => sourceFile(path, text))).map((breach) =>
        breach.replace(/.* /, ""),
      );
    const core = "src/edge/core/x.ts";
    expect(reached([core, 'import { a } from "../../util/assert.ts"; import { b } from "./y.ts";'])).toEqual(
      [],
    );
    expect(
      reached([core, 'import "../driver.ts"; import type { Transport } from "../../transport/memory.ts";']),
    ).toEqual(["src/edge/driver.ts", "src/transport/memory.ts"]);
    expect(reached([core, 'import "node:fs";'])).toEqual(["node:fs"]);
    expect(reached([core, 'import "../../util/driver.ts";'])).toEqual(["src/util/driver.ts"]);
    const through: [string, string] = ["src/protocol/x.ts", 'export { wireLink } from "./link.ts";'];
    expect(reached([core, 'import "../../protocol/x.ts";'], through)).toEqual(["src/protocol/link.ts"]);
    expect(reached(["src/edge/x.ts", 'import "node:fs"; import "./driver.ts";'])).toEqual([]);
  });

  it("see a circle", () => {
    const a = sourceFile("src/edge/a.ts", 'import type { B } from "./core/b.ts";');
    const b = sourceFile("src/edge/core/b.ts", 'export { C } from "../../protocol/c.ts";');
    const c = sourceFile("src/protocol/c.ts", 'import "../edge/a.ts";');
    expect(circles(importGraph([a, b]))).toEqual([]);
    expect(circles(roomGraph([a, b]))).toEqual([]);
    expect(circles(importGraph([a, b, c]))).toEqual([
      "src/edge/a.ts - src/edge/core/b.ts - src/protocol/c.ts",
    ]);
    expect(circles(roomGraph([a, b, c]))).toEqual(["edge - edge/core - protocol"]);
    expect(circles(new Map(Object.entries({ ...ROOMS, util: ["device"] })))).toHaveLength(1);
  });

  it("count lines of code, not of comments", () => {
    const text = "/** what\n * it is */\nconst x = `a\nb`;\n\n// why\nx();\n";
    expect(codeLines(sourceFile("src/util/x.ts", text))).toBe(3);
  });

  it("see a long function", () => {
    const text = `function f() {\n${"x();\n".repeat(80)}}`;
    expect(longFunctions(sourceFile("src/util/x.ts", text))).toHaveLength(1);
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
    if (ts.isStringLiteralLike(node)) return;
    if (node.getChildCount() === 0) parts.push(node.getText());
    else node.getChildren().forEach(visit);
  };
  visit(tree);
  return parts.join(" ").replaceAll(" . ", ".");
}
