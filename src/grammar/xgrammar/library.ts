import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { compileFunction } from "node:vm";
import { PicoSpecError } from "../../util/errors.ts";

/**
 * xgrammar (Dong et al. 2024) as its WebAssembly build for the web. That package is a script for a page and not a
 * module for Node, its functions are promises although they compute at once, and a grammar that it does not like
 * aborts the whole instance. So it is loaded here by hand, its binding is used directly, and there can be several
 * instances of it.
 */

export interface Handle {
  delete(): void;
}

interface IntVector extends Handle {
  size(): number;
  get(index: number): number;
}

export interface MatcherHandle extends Handle {
  AcceptToken(token: number, verbose: boolean): boolean;
  Rollback(tokens: number): void;
  IsTerminated(): boolean;
  GetNextTokenBitmask(vocabularySize: number): IntVector;
}

interface GrammarHandle extends Handle {
  ToString(): string;
}

export interface CompilerHandle extends Handle {
  CompileGrammar(grammar: GrammarHandle): Handle;
}

/** What of the binding is used here; arguments as the package's own wrapper gives them. */
export interface Binding {
  vecStringFromJSArray(values: readonly string[]): Handle;
  vecIntFromJSArray(values: readonly number[]): Handle;
  readonly TokenizerInfo: new (
    vocabulary: Handle,
    kind: "BYTE_LEVEL",
    size: number,
    stopTokens: Handle,
    prependSpace: boolean,
  ) => Handle;
  readonly GrammarCompiler: new (tokenizer: Handle, threads: number, cache: boolean) => CompilerHandle;
  readonly GrammarMatcher: new (
    grammar: Handle,
    stopTokens: undefined,
    endsWithoutStopToken: boolean,
    mostRollback: number,
  ) => MatcherHandle;
  readonly Grammar: {
    readonly FromEBNF: new (source: string, root: string) => GrammarHandle;
    readonly FromJSONSchema: new (
      schema: string,
      anyWhitespace: boolean,
      indent: undefined,
      separators: undefined,
      strict: boolean,
      mostWhitespace: undefined,
      print: boolean,
    ) => GrammarHandle;
  };
}

type CreateBinding = (options: { printErr: (line: string) => void }) => Promise<Binding>;

let create: CreateBinding | null = null;

/** What of the script has to be otherwise; each occurs exactly once. */
const CHANGES = [
  ["await import('module')", "await importModule('module')"],
  ["exports.default = index;", "exports.default = Module;"],
] as const;

/** @throws PicoSpecError `no_grammars` when the package is not there, or not the one that this was written for */
function load(): CreateBinding {
  if (create) return create;
  const require = createRequire(import.meta.url);
  try {
    const path = require.resolve("@mlc-ai/web-xgrammar");
    let source = readFileSync(path, "utf8");
    for (const [before, after] of CHANGES) {
      if (source.split(before).length !== 2) throw new Error(`there is not one ${before}`);
      source = source.replace(before, after);
    }
    const script = compileFunction(
      source,
      ["exports", "module", "require", "__filename", "__dirname", "importModule"],
      { filename: path },
    );
    const module: { exports: { default?: CreateBinding } } = { exports: {} };
    const importModule = (name: string) => import(name);
    script.call(module.exports, module.exports, module, require, path, dirname(path), importModule);
    create = module.exports.default ?? null;
    if (!create) throw new Error("it exports nothing");
    return create;
  } catch (error) {
    throw new PicoSpecError("no_grammars", `xgrammar does not load: ${error}; run npm ci`, { cause: error });
  }
}

/** One instance. It is of no use any more once a call into it has thrown. */
export class GrammarInstance {
  readonly binding: Binding;
  private readonly said: string[];

  private constructor(binding: Binding, said: string[]) {
    this.binding = binding;
    this.said = said;
  }

  /** About 40 ms and some megabytes. */
  static async create(): Promise<GrammarInstance> {
    const said: string[] = [];
    return new GrammarInstance(await load()({ printErr: (line) => said.push(line) }), said);
  }

  /** Why the last call aborted, in one line. */
  reason(): string {
    const fatal =
      this.said.find((line) => line.includes("[FATAL]")) ?? this.said.at(-1) ?? "it gives no reason";
    // "[FATAL] file:line: what"
    return fatal
      .replace(/^.*?\[FATAL\]\s*\S+:\d+:\s*/, "")
      .split("\n")[0]!
      .slice(0, 300);
  }
}
