import type { Grammar } from "../../decoding/grammar.ts";
import { SESSION_LIMITS } from "../../decoding/session.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { SettingError } from "../../util/errors.ts";
import type { GrammarMatcher, Grammars } from "../grammar.ts";
import { type CompilerHandle, GrammarInstance, type Handle } from "./library.ts";
import { XGrammarMatcher } from "./matcher.ts";

/** Compiled grammars that are kept: those of one application are few. */
const MOST_COMPILED = 32;

/** What has aborted is made anew; until then nothing can be read. */
const BUSY = "grammars cannot be read at this moment: try again in a second";

/**
 * Grammars over one tokenizer's vocabulary, by xgrammar. A source is parsed in an instance of its own first: one that is
 * wrong aborts that one, and answers that are under way keep theirs.
 */
export class XGrammars implements Grammars {
  private readonly tokenizer: Tokenizer;
  private readonly endTokens: readonly number[];
  private compiler: Compiler | null = null;
  private scratch: GrammarInstance | null = null;
  /** what has aborted is being made anew */
  private renewing: Promise<unknown> = Promise.resolve();

  private constructor(tokenizer: Tokenizer, endTokens: readonly number[]) {
    this.tokenizer = tokenizer;
    this.endTokens = endTokens;
  }

  /**
   * @param endTokens may come where an answer may end
   * @throws EngineError `no_grammars`
   */
  static async create(tokenizer: Tokenizer, endTokens: readonly number[]): Promise<XGrammars> {
    const grammars = new XGrammars(tokenizer, endTokens);
    await Promise.all([grammars.renewCompiler(), grammars.renewScratch()]);
    return grammars;
  }

  /** Resolves when what has aborted so far is there again. */
  async ready(): Promise<void> {
    await this.renewing;
  }

  matcher({ kind, source }: Grammar): GrammarMatcher {
    if (kind !== "ebnf") {
      throw new SettingError("grammar", `xgrammar does not know the grammar kind ${kind}; use ebnf`);
    }
    if (source.length > SESSION_LIMITS.grammarUnits) {
      throw new SettingError("grammar", `a grammar has at most ${SESSION_LIMITS.grammarUnits} characters`);
    }
    const { compiler } = this;
    if (!compiler) throw new SettingError("grammar", BUSY);
    if (!compiler.knows(source)) this.check(source);
    const { vocabularySize } = this.tokenizer;
    const failed = () => {
      if (this.compiler === compiler) this.renewing = Promise.all([this.renewing, this.renewCompiler()]);
    };
    try {
      return new XGrammarMatcher(compiler.matcher(source), vocabularySize, failed);
    } catch {
      failed();
      throw new SettingError("grammar", `the grammar cannot be used: ${compiler.instance.reason()}`);
    }
  }

  private check(source: string): void {
    const { scratch } = this;
    if (!scratch) throw new SettingError("grammar", BUSY);
    try {
      new scratch.binding.Grammar.FromEBNF(source, "root").delete();
    } catch {
      this.renewing = Promise.all([this.renewing, this.renewScratch()]);
      throw new SettingError("grammar", `the grammar cannot be used: ${scratch.reason()}`);
    }
  }

  private async renewScratch(): Promise<void> {
    this.scratch = null;
    this.scratch = await GrammarInstance.create();
  }

  private async renewCompiler(): Promise<void> {
    this.compiler = null;
    this.compiler = new Compiler(await GrammarInstance.create(), this.tokenizer, this.endTokens);
  }
}

/** One instance with the vocabulary and what was compiled for it. */
class Compiler {
  readonly instance: GrammarInstance;
  private readonly handle: CompilerHandle;
  private readonly compiled = new Map<string, Handle>();

  constructor(instance: GrammarInstance, tokenizer: Tokenizer, endTokens: readonly number[]) {
    this.instance = instance;
    const { binding } = instance;
    const size = tokenizer.vocabularySize;
    // Special tokens have no text, and are never allowed.
    const vocabulary = Array.from({ length: size }, (_, id) => printable(tokenizer.piece(id)));
    const words = binding.vecStringFromJSArray(vocabulary);
    const ends = binding.vecIntFromJSArray(endTokens);
    const info = new binding.TokenizerInfo(words, "BYTE_LEVEL", size, ends, false);
    this.handle = new binding.GrammarCompiler(info, 1, false);
  }

  knows(source: string): boolean {
    return this.compiled.has(source);
  }

  matcher(source: string): InstanceType<GrammarInstance["binding"]["GrammarMatcher"]> {
    return new this.instance.binding.GrammarMatcher(this.compile(source), undefined, false, -1);
  }

  private compile(source: string): Handle {
    let handle = this.compiled.get(source);
    if (handle) {
      // The newest last: the one that goes is the one that was not used for longest.
      this.compiled.delete(source);
    } else {
      const grammar = new this.instance.binding.Grammar.FromEBNF(source, "root");
      handle = this.handle.CompileGrammar(grammar);
      grammar.delete();
    }
    this.compiled.set(source, handle);
    if (this.compiled.size > MOST_COMPILED) {
      const [oldest, unused] = this.compiled.entries().next().value!;
      this.compiled.delete(oldest);
      unused.delete();
    }
    return handle;
  }
}

/** GPT-2's printable character for each byte: how xgrammar takes tokens that are parts of characters. */
const PRINTABLE = (() => {
  const plain = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(plain(byte) ? byte : next++));
})();

function printable(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += PRINTABLE[byte];
  return text;
}
