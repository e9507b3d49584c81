import type { AnsweredToken } from "../edge/edge.ts";
import type { FormatEvent, FormatReader } from "../text/formats/format.ts";
import type { ConversationEvent } from "./conversation.ts";
import type { Reading } from "./requests.ts";

/** Splits the text of one choice into what it says, thinks and calls. */
export class ChoiceReader {
  /** tokens of thoughts so far */
  reasoningTokens = 0;
  private readonly choice: number;
  /** null: all of it is text */
  private readonly reader: FormatReader | null;
  private thinking: boolean;
  private calls = 0;
  private untold = 0;

  constructor(choice: number, reading: Reading | null) {
    this.choice = choice;
    this.reader = reading ? reading.format.reader(reading) : null;
    this.thinking = reading?.thinkingOpen ?? false;
  }

  /** @param tokens that the text is of: they come with the first event that may have them */
  push(text: string, tokens: readonly AnsweredToken[]): ConversationEvent[] {
    if (!this.reader) return [{ kind: "text", choice: this.choice, text, tokens }];
    const events = text === "" ? [] : this.reader.push(text);
    const thought = events.length > 0 ? events[0]!.type === "reasoning" : this.thinking;
    this.count(events[0]?.type ?? null, tokens.length);
    const told = events.map((event) => this.told(event));
    const first = told[0];
    if (first && (first.kind === "text" || first.kind === "reasoning"))
      return [{ ...first, tokens }, ...told.slice(1)];
    const kind = thought ? "reasoning" : "text";
    return [{ kind, choice: this.choice, text: "", tokens }, ...told];
  }

  /** Tokens of which nothing is told yet are of what is told next: the marker that ends a thought is none of it. */
  private count(type: FormatEvent["type"] | null, tokens: number): void {
    this.untold += tokens;
    if (type === "reasoning") this.reasoningTokens += this.untold;
    if (type !== null) this.untold = 0;
  }

  /** Whether a thought has taken so many tokens and is not over. */
  thinksPast(tokens: number): boolean {
    return this.thinking && this.reasoningTokens >= tokens;
  }

  /** @param cut the answer ended at a limit */
  end(cut: boolean): ConversationEvent[] {
    return (this.reader?.end(cut) ?? []).map((event) => this.told(event));
  }

  private told(event: FormatEvent): ConversationEvent {
    const { choice } = this;
    this.thinking = event.type === "reasoning";
    switch (event.type) {
      case "text":
        return { kind: "text", choice, text: event.text, tokens: [] };
      case "reasoning":
        return { kind: "reasoning", choice, text: event.text, tokens: [] };
      case "call":
        return { kind: "call", choice, call: this.calls++, id: event.id, name: event.name };
      case "arguments":
        return { kind: "arguments", choice, call: this.calls - 1, text: event.text };
      default:
        return event satisfies never;
    }
  }
}
