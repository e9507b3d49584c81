import { PicoSpecError } from "../util/errors.ts";
import type { PromptText } from "./conversation.ts";
import type { FillInTokens } from "./fill-in.ts";
import type { SpecialTexts } from "./tame.ts";

/** A prompt that the model's tokenizer cannot read: `prompt_refused`; or not now: `tokenizer_busy`. */
export class PromptError extends PicoSpecError {
  override readonly name = "PromptError";
}

/** Text to token ids and back. The two models of a pair may have two: texts go through that of the model that answers. */
export interface Tokenizer {
  /** hash of vocabulary, merges and special tokens, without trailing padding: equal means one tokenizer */
  readonly fingerprint: string;
  readonly vocabularySize: number;
  /** text of the token that begins a sequence; empty where there is none */
  readonly beginText: string;
  readonly endText: string;
  /** whether `encode` puts the begin token before the text */
  readonly addsBegin: boolean;
  /**
   * Token ids of a prompt, the begin token included where the model wants one.
   * @param special whether text such as <|user|> is read as the special token of that name
   */
  encode(text: string, special: boolean): Int32Array;
  /**
   * Token ids of a prompt that others wrote: it neither blocks its caller for long, nor can a text end the process. Not
   * given: `encode` is like that.
   * @throws PromptError
   */
  readUntrusted?(prompt: PromptText): Promise<Int32Array>;
  /**
   * Bytes of the longest token: a text of more than n times as many is more than n tokens. Not given: unknown, and a
   * prompt is read before its length is checked.
   */
  readonly longestTokenBytes?: number;
  /**
   * Texts of the control tokens. What clients and tools write of these in a conversation is read as plain text. Not given:
   * there are none.
   */
  readonly controls?: SpecialTexts;
  /** Tokens around the two texts that an answer is between. Not given, or null: the model has none. */
  readonly fillIn?: FillInTokens | null;
  /** The bytes that a token adds to the text: a character may be spread over several tokens. Special tokens and ids past the vocabulary have none. */
  piece(token: number): Uint8Array;
  /** The text that a special token goes by, such as <|user|>; "" for others. Not given: no token is special. */
  specialText?(token: number): string;
}

/** Turns committed tokens into text as they come; a character split over tokens comes out whole. */
export class StreamingText {
  private readonly tokenizer: Tokenizer;
  private readonly markers: readonly string[];
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** @param markers texts of special tokens that are text here */
  constructor(tokenizer: Tokenizer, markers: readonly string[] = []) {
    this.tokenizer = tokenizer;
    this.markers = markers;
  }

  /** The text that is certain now: what is missing is an unfinished character. */
  push(token: number): string {
    const piece = this.tokenizer.piece(token);
    if (piece.length > 0 || this.markers.length === 0) return this.decoder.decode(piece, { stream: true });
    const special = this.tokenizer.specialText?.(token) ?? "";
    return this.markers.includes(special) ? this.decoder.decode() + special : "";
  }

  /** What was left: an unfinished character, as U+FFFD. */
  end(): string {
    return this.decoder.decode();
  }
}
