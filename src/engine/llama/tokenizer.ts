import type { PromptText } from "../../text/conversation.ts";
import type { FillInTokens } from "../../text/fill-in.ts";
import { encodePrompt } from "../../text/read-pieces.ts";
import { isTame, SpecialTexts } from "../../text/tame.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { assert } from "../../util/assert.ts";
import type { LlamaModel } from "./model.ts";
import { TokenizerProcess } from "./tokenizer-process.ts";

/** Longer ones are read elsewhere. */
const FEW_UNITS = 8 * 1024;

/** And those with more pieces. */
const FEW_CUTS = 4;

/** What special tokens may cut a prompt into, and how long that may take. */
const MOST_PARTS = 256;
const PARTS_MS = 10;

/** The tokenizer of a GGUF file, by llama.cpp. Valid as long as the model is. */
export class LlamaTokenizer implements Tokenizer {
  readonly fingerprint: string;
  /** see `VocabularyInfo.identity` */
  readonly identity: string;
  readonly vocabularySize: number;
  readonly beginText: string;
  readonly endText: string;
  readonly addsBegin: boolean;
  readonly longestTokenBytes: number;
  readonly controls: SpecialTexts;
  readonly fillIn: FillInTokens | null;
  private readonly aside: TokenizerProcess;
  private readonly specials: SpecialTexts;
  /** for the shortest text */
  private readonly partMs: number;
  private readonly model: LlamaModel;
  /** `llama_tokenize` puts the end token behind a text: a file may have been made for training */
  private readonly addsEnd: boolean;
  private readonly pieces = new Map<number, Uint8Array>();
  private buffer = new Uint8Array(256);

  /** @param vocabulary a GGUF file without tensors, where the model's file does not stay; default: it does */
  constructor(model: LlamaModel, vocabulary: Uint8Array | null = null) {
    this.model = model;
    this.longestTokenBytes = model.file.longestTokenBytes;
    this.aside = new TokenizerProcess(vocabulary ?? model.file.path);
    model.whenClosed(() => this.aside.close());
    this.fingerprint = model.file.fingerprint;
    this.identity = model.file.identity;
    this.vocabularySize = model.vocabularySize;
    const { api } = model.library;
    this.beginText = this.text(api.vocabBos(model.vocab));
    this.endText = this.text(api.vocabEos(model.vocab));
    this.addsEnd = api.vocabAddsEos(model.vocab);
    this.specials = new SpecialTexts(model.file.specialTexts);
    // The library takes what ends a text for a control token, whatever the file says.
    const ends = this.endTokens().map((token) => this.text(token));
    this.controls = new SpecialTexts([...model.file.controlTexts, ...ends]);
    const [before, after, middle] = [api.vocabFimPre, api.vocabFimSuf, api.vocabFimMid].map((of) =>
      of(model.vocab),
    ) as [number, number, number];
    this.fillIn = Math.min(before, after, middle) < 0 ? null : { before, after, middle };
    this.partMs = Math.min(...[1, 2, 3].map(() => this.timed(() => this.encode("a", false))));
    this.addsBegin = this.encode("", false)[0] === api.vocabBos(model.vocab);
  }

  encode(text: string, special: boolean): Int32Array {
    const { api } = this.model.library;
    const bytes = new TextEncoder().encode(text);
    // A token has at least one byte, except those that the model puts around the text.
    let tokens = new Int32Array(bytes.length + 8);
    const tokenize = () =>
      api.tokenize(this.model.vocab, bytes, bytes.length, tokens, tokens.length, true, special);
    let count = tokenize();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = tokenize();
    }
    assert(count >= 0, "llama_tokenize says how many tokens it needs");
    // A prompt that has ended has no answer.
    if (this.addsEnd && tokens[count - 1] === api.vocabEos(this.model.vocab)) count--;
    return tokens.slice(0, count);
  }

  /** Long prompts are read in a process of their own, which is started for the first: see tokenizer-process.ts. */
  async readUntrusted(prompt: PromptText): Promise<Int32Array> {
    const { text, special, cuts = [] } = prompt;
    const isShort = text.length <= FEW_UNITS && cuts.length <= FEW_CUTS && isTame(text);
    if (isShort && !this.isCutUp(text, special)) return encodePrompt(prompt, this);
    return this.aside.read(prompt);
  }

  /** Some pre-tokenizers take a millisecond for each part of a text between special tokens. */
  private isCutUp(text: string, special: boolean): boolean {
    if (!special) return false;
    const most = Math.min(MOST_PARTS, Math.ceil(PARTS_MS / this.partMs));
    return this.specials.count(text, most) >= most;
  }

  piece(token: number): Uint8Array {
    const known = this.pieces.get(token);
    if (known) return known;
    const { api } = this.model.library;
    // The other model of a pair may have more: padding, which is no text.
    if (token < 0 || token >= this.vocabularySize) return new Uint8Array(0);
    const convert = () =>
      api.tokenToPiece(this.model.vocab, token, this.buffer, this.buffer.length, 0, false);
    let size = convert();
    if (size < 0) {
      this.buffer = new Uint8Array(-size);
      size = convert();
    }
    const piece = this.buffer.slice(0, size);
    this.pieces.set(token, piece);
    return piece;
  }

  specialText(token: number): string {
    const known = token >= 0 && token < this.vocabularySize && this.piece(token).length === 0;
    return known ? this.text(token) : "";
  }

  /** Tokens that end a text, by the model's own word. */
  endTokens(): number[] {
    const { api } = this.model.library;
    const ends: number[] = [];
    for (let id = 0; id < this.vocabularySize; id++) if (api.vocabIsEog(this.model.vocab, id)) ends.push(id);
    return ends;
  }

  private timed(act: () => void): number {
    const started = performance.now();
    act();
    return performance.now() - started;
  }

  private text(token: number): string {
    return token < 0 ? "" : this.model.library.api.vocabText(this.model.vocab, token);
  }
}
