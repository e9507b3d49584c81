import { resolve } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/** Every public function has an example in its docstring, and examples compile against the sources. */

const ENTRIES: Record<string, string> = {
  picospec: "src/node.ts",
  "picospec/node": "src/node.ts",
  "picospec/lab": "lab/index.ts",
};

const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
const { options: base } = ts.parseJsonConfigFileContent(config, ts.sys, ".");
/** Those of the sources, with the disposable symbols that @types/node declares, and the package by its name. */
const options: ts.CompilerOptions = {
  ...base,
  paths: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, [resolve(file)]])),
};

interface Documented {
  readonly name: string;
  readonly examples: readonly string[];
}

/** The functions that the entry points export. */
function publicFunctions(program: ts.Program): Documented[] {
  const checker = program.getTypeChecker();
  const found = new Map<string, Documented>();
  for (const file of Object.values(ENTRIES)) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(resolve(file))!)!;
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (!symbol.declarations?.some(ts.isFunctionDeclaration)) continue;
      const tags = symbol.getJsDocTags(checker).filter(({ name }) => name === "example");
      found.set(symbol.name, {
        name: symbol.name,
        examples: tags.map(({ text }) => ts.displayPartsToString(text)),
      });
    }
  }
  return [...found.values()];
}

/** What the compiler says of programs, a file each that exists in memory only. */
function complaints(programs: ReadonlyMap<string, string>): string[] {
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => programs.has(path) || fileExists.call(host, path);
  host.getSourceFile = (path, ...more) => {
    const text = programs.get(path);
    return text === undefined
      ? getSourceFile.call(host, path, ...more)
      : ts.createSourceFile(path, text, more[0]);
  };
  const program = ts.createProgram([...programs.keys()], options, host);
  return [...programs.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)!;
    const all = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return all.map(({ messageText }) => `${path}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`);
  });
}

const inMemory = (name: string) => resolve("test/integration", `example-${name}.mts`);

describe("docstrings of the public API", () => {
  const entries = [...new Set(Object.values(ENTRIES))].map((file) => resolve(file));
  const functions = publicFunctions(ts.createProgram(entries, options));

  it("have an example for every function", () => {
    expect(functions.length).toBeGreaterThan(20);
    const bare = functions.filter(({ examples }) => examples.length === 0).map(({ name }) => name);
    expect(bare).toEqual([]);
  });

  it("have examples that compile, and a wrong one is seen", () => {
    const programs = new Map(
      functions.flatMap(({ name, examples }) =>
        examples.map((text, i) => [inMemory(`${name}-${i}`), text] as const),
      ),
    );
    const wrong = inMemory("control");
    programs.set(
      wrong,
      'import { createCloud } from "picospec";\nawait createCloud({ modle: "large.gguf" });',
    );
    const said = complaints(programs);
    expect(said.filter((one) => !one.startsWith(wrong))).toEqual([]);
    expect(said.join()).toMatch(/modle/);
  });
});
