import { builtinModules } from "node:module";
import { resolve } from "node:path";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/** The edge in a browser: bundled without Node's modules, and run where nothing of Node is. */

const PROGRAM = resolve("scripts/consumer/browser.ts");
const NODE_GLOBALS = ["process", "Buffer", "require", "global", "setImmediate", "__dirname", "__filename"];

interface Bundle {
  readonly text: string;
  /** Node's modules that something imports */
  readonly nodeModules: readonly string[];
}

/** @param planted added to the program */
async function bundled(planted = ""): Promise<Bundle> {
  const nodeModules: string[] = [];
  const watch: Plugin = {
    name: "watch",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /.*/ }, ({ path, importer }) => {
        if (!path.startsWith("node:") && !builtinModules.includes(path)) return null;
        nodeModules.push(`${path} in ${importer}`);
        return { path, external: true };
      });
      onLoad({ filter: /consumer\/browser\.ts$/ }, () => ({
        contents: `${planted}\n${ts.sys.readFile(PROGRAM)}`,
        loader: "ts",
      }));
    },
  };
  const { outputFiles } = await build({
    ...{ entryPoints: [PROGRAM], alias: { picospec: resolve("src/index.ts") }, plugins: [watch] },
    ...{ bundle: true, minify: true, write: false, platform: "browser", format: "iife", globalName: "edge" },
  });
  return { text: outputFiles[0]!.text, nodeModules };
}

/** Uses of what only Node has, but for questions whether it is there (`typeof`). */
function nodeGlobals(text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeOfExpression(node)) return;
    if (ts.isIdentifier(node) && NODE_GLOBALS.includes(node.text) && isRead(node)) found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("bundle.js", text, ts.ScriptTarget.ES2022, true));
  return found;
}

/** Neither a property's name nor a declaration. */
function isRead(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  const named =
    ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent) || ts.isMethodDeclaration(parent);
  return !named || parent.name !== node;
}

/** The program's answer in a context that has the language, and of a browser what the edge uses. */
function answerOf(text: string): Promise<string> {
  const context = createContext({ TextEncoder, TextDecoder, AbortController });
  runInContext(text, context);
  return runInContext("edge.answer()", context) as Promise<string>;
}

describe("the edge in a browser", () => {
  it("bundles without Node's modules and globals, and answers a prompt", async () => {
    const { text, nodeModules } = await bundled();
    expect([nodeModules, nodeGlobals(text)]).toEqual([[], []]);
    const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
    console.log(`bundle: ${kilobytes(text.length)}, gzipped ${kilobytes(gzipSync(text).length)}`);
    expect(await answerOf(text)).toMatch(/^[a-z]{40}$/);
  });

  it("would be seen to need Node: a planted import, and a planted global", async () => {
    const module = await bundled('import { readFileSync } from "node:fs"; export { readFileSync };');
    expect(module.nodeModules).toEqual([expect.stringMatching(/^node:fs in .*browser\.ts$/)]);
    expect(() => answerOf(module.text)).toThrow(/node:fs/);
    const global = await bundled("export const home = process.env.HOME;");
    expect(nodeGlobals(global.text)).toEqual(["process"]);
    expect(() => answerOf(global.text)).toThrow(/process is not defined/);
  });
});
