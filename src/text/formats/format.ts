/**
 * What a family of models says: how its text splits into content, reasoning and calls as it streams, and which grammar
 * its calls keep to. A format is pure: it knows texts, and neither tokens nor requests.
 */

/** A part of an answer, in order. Texts of one kind that follow each other concatenate. */
export type FormatEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  /** A call begins; id: as the model wrote it, null where its family writes none */
  | { readonly type: "call"; readonly name: string; readonly id: string | null }
  /** JSON as text, which concatenates into one object a call; a call without arguments has `{}` */
  | { readonly type: "arguments"; readonly text: string };

/** A tool as a format reads it: a type of a parameter says how its text is to be read. */
export interface FormatTool {
  readonly name: string;
  /** a JSON Schema of an object; not given: any object */
  readonly parameters?: unknown;
}

/** A call that was made in an earlier turn. */
export interface MadeCall {
  readonly name: string;
  readonly id: string;
  /** JSON of an object, as text */
  readonly arguments: string;
}

export interface ReaderOptions {
  /** the prompt ended within a thought: `thinkingOpen` of the format says so of a prompt */
  readonly thinkingOpen: boolean;
  /** empty: calls are not looked for, and what looks like one is text */
  readonly tools: readonly FormatTool[];
}

/** Splits one answer. Markers may span the pieces that it gets. */
export interface FormatReader {
  push(text: string): FormatEvent[];
  /**
   * What was held back, when nothing follows.
   * @param cut the answer ended at a limit: a marker or a call that is not whole is dropped, and no markup is text
   */
  end(cut: boolean): FormatEvent[];
}

/** What an answer has to keep to. */
export interface FormatGrammarOptions {
  /** those that may be called, with schemas that a grammar can keep; a tool without `parameters` takes any object */
  readonly tools: readonly FormatTool[];
  /** `may`: text is free until a call begins; `must`: one call at least, and no text beside calls */
  readonly calls: "may" | "must";
  /** more than one call is allowed */
  readonly parallel: boolean;
  readonly thinkingOpen: boolean;
  /** rules of Lark that define `answer`, which text keeps to where there is no call; null: text is free */
  readonly answer: string | null;
}

export interface Format {
  /** unique, for logs and tables */
  readonly name: string;
  /** families of models that write it, for the table in the docs */
  readonly models: readonly string[];
  /**
   * Texts of tokens that it reads. Those of them that are control tokens have to come as their text from the decoder,
   * and all other control tokens as nothing.
   */
  readonly markers: readonly string[];
  /** Whether a model with this chat template (Jinja source) writes it. */
  recognises(template: string): boolean;
  /** Whether a prompt, as rendered, ends within a thought, so that the answer continues it. */
  thinkingOpen(prompt: string): boolean;
  /** What ends a thought: a budget of thinking tokens forces it. Null: the family does not think. */
  readonly thinkingEnd: string | null;
  /** Whether answers can have calls at all. */
  readonly callsTools: boolean;
  /**
   * Text for a system message where the template does not show tools by itself; null: it does.
   * @param tools as in a request, to be shown as JSON
   */
  instruction(tools: readonly unknown[]): string | null;
  /** Calls of an earlier turn as the model wrote them, for the content of a message whose template drops calls. */
  written(calls: readonly MadeCall[]): string;
  reader(options: ReaderOptions): FormatReader;
  /**
   * Lark with the rule `start`, for all of the answer: a thought where the family has them, and then text and calls.
   * Markers are in it as text; where they are control tokens, whoever uses it says that `markers` are these tokens.
   */
  grammar(options: FormatGrammarOptions): string;
}
