import type { TokenLogprobs } from "../sampling/question.ts";
import { StopStrings } from "../text/stop-strings.ts";
import { StreamingText, type Tokenizer } from "../text/tokenizer.ts";
import type { Inbox } from "../util/inbox.ts";
import type { AnswerEvent, AnsweredToken } from "./answer.ts";
import type { TokenOrigin } from "./core/machine.ts";

/** What of a request says how its text is put together. */
interface AskedParts {
  readonly stop?: readonly string[];
  readonly markers?: readonly string[];
  readonly logprobs?: number;
}

/** Puts tokens, their logprobs and stop strings together: what is given away is certain, and in order. */
export class AnswerParts {
  stopped = false;
  private readonly tokenizer: Tokenizer;
  private readonly streaming: StreamingText;
  private readonly strings: StopStrings;
  private readonly wantsLogprobs: boolean;
  private readonly events: Inbox<AnswerEvent>;
  /** committed tokens whose logprobs have not come, in order; a correction's come a round trip later */
  private readonly waiting: Omit<AnsweredToken, "logprobs">[] = [];
  /** logprobs whose tokens have not come: none, unless a cloud says more than it was asked */
  private readonly early: TokenLogprobs[] = [];

  constructor(tokenizer: Tokenizer, asked: AskedParts, events: Inbox<AnswerEvent>) {
    const { stop = [], markers, logprobs } = asked;
    this.tokenizer = tokenizer;
    this.streaming = new StreamingText(tokenizer, markers);
    this.strings = new StopStrings(stop);
    this.wantsLogprobs = logprobs !== undefined;
    this.events = events;
  }

  get stopString(): string | null {
    return this.strings.came;
  }

  /** @returns whether the answer is over */
  token(id: number, origin: TokenOrigin): boolean {
    const token = { token: id, text: this.streaming.push(id), origin };
    if (!this.wantsLogprobs) return this.give({ ...token, logprobs: null });
    this.waiting.push(token);
    return this.match();
  }

  /** @returns whether the answer is over */
  logprobs(logprobs: TokenLogprobs): boolean {
    this.early.push(logprobs);
    return this.match();
  }

  discarded(tokens: Int32Array): void {
    if (this.stopped) return;
    const streaming = new StreamingText(this.tokenizer);
    const pieces = Array.from(tokens, (token) => streaming.push(token));
    this.events.push({ type: "discarded", text: pieces.join("") + streaming.end() });
  }

  /** Nothing follows. */
  end(): void {
    // The link broke for good, or the answer was ended, before the last logprobs came.
    for (const token of this.waiting.splice(0)) this.give({ ...token, logprobs: null });
    // An unfinished character, and what might have become a stop string.
    const { text: rest } = this.strings.push(this.streaming.end());
    const text = rest + this.strings.end();
    if (text !== "") this.events.push({ type: "text", text, tokens: [] });
  }

  private match(): boolean {
    while (this.waiting.length > 0 && this.early.length > 0) {
      if (this.give({ ...this.waiting.shift()!, logprobs: this.early.shift()! })) return true;
    }
    return this.stopped;
  }

  private give(token: AnsweredToken): boolean {
    if (this.stopped) return true;
    const { text, stopped } = this.strings.push(token.text);
    this.stopped = stopped;
    // A token that begins a stop string is none of the answer's.
    const tokens = stopped && text === "" ? [] : [token];
    if (tokens.length > 0 || text !== "") this.events.push({ type: "text", text, tokens });
    return stopped;
  }
}
