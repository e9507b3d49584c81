/** Conversations in the form of OpenAI's API, and prompts before a tokenizer reads them. */

/** A message in the form of OpenAI's API, which chat templates read as it is. */
export interface ChatMessage {
  /** `tool`: what a tool that was called returned */
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  /** texts that `content` is made of, joined by newlines: a template that takes parts gets these */
  readonly parts?: readonly string[];
  /** what the assistant thought before it said `content`; the template keeps it or drops it */
  readonly reasoning_content?: string;
  /** tools that the assistant calls */
  readonly tool_calls?: readonly ToolCall[];
  /** the same calls as the model writes them, for a template that does not show calls; it goes behind `content` */
  readonly written_calls?: string;
  /** of the call that a message of a tool answers */
  readonly tool_call_id?: string;
}

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** arguments: JSON as text */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A tool that the model may call. */
export interface ChatTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** a JSON Schema */
    readonly parameters?: unknown;
  };
}

export interface PromptText {
  readonly kind: "text";
  readonly text: string;
  /** text such as <|user|> is read as the special token of that name */
  readonly special: boolean;
  /**
   * Ascending indices, UTF-16 units, at which the text is cut before it is read, so that no token spans them: within texts
   * of control tokens that a client or a tool wrote. Default: none.
   */
  readonly cuts?: readonly number[];
  /** what follows the answer: the model fills in what is between */
  readonly suffix?: string;
}

export interface UnreadChat {
  readonly kind: "chat";
  /** Jinja source; null: the messages' texts, a line each */
  readonly template: string | null;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ChatTool[];
  /** more variables for the template, such as `enable_thinking` or `reasoning_effort` */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** the last message is the assistant's, and the answer goes on with it */
  readonly continues?: boolean;
}

/** A prompt as the one who asks has it. */
export type UnreadPrompt = PromptText | UnreadChat;

/** UTF-16 units of what was written, without tools and calls: a template may drop those. */
export function promptUnits(prompt: UnreadPrompt): number {
  if (prompt.kind === "text") return prompt.text.length + (prompt.suffix ?? "").length;
  return prompt.messages.reduce((units, { content, reasoning_content: thought = "" }) => {
    return units + content.length + thought.length;
  }, 0);
}
