/** Conversations in the form of OpenAI's API, and prompts before a tokenizer reads them. */

/** A message in the form of OpenAI's API, which chat templates read as it is. */
export interface ChatMessage {
  /** `tool`: what a tool that was called returned */
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  /** tools that the assistant calls */
  readonly tool_calls?: readonly ToolCall[];
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
}

export interface UnreadChat {
  readonly kind: "chat";
  /** Jinja source; null: the messages' texts, a line each */
  readonly template: string | null;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ChatTool[];
}

/** A prompt as the one who asks has it. */
export type UnreadPrompt = PromptText | UnreadChat;

/** UTF-16 units of what was written, without tools and calls: a template may drop those. */
export function promptUnits(prompt: UnreadPrompt): number {
  if (prompt.kind === "text") return prompt.text.length;
  return prompt.messages.reduce((units, { content }) => units + content.length, 0);
}
