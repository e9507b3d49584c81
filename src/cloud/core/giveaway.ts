import { frameBytes } from "../../protocol/encode.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Peer } from "../../protocol/features.ts";
import {
  chunksOf,
  type SentVocabulary,
  type TokenizerFrame,
  type VocabularyPart,
  type VocabularyRequestFrame,
} from "../../protocol/frame.ts";

/** How often a connection gets the tokenizer; of each part's chunks, so many times as many as there are. */
const MOST_TIMES = 4;

/** The tokenizer as edges get it, and how much of it each has had: a connection may ask, and not for ever. */
export class Giveaway {
  /** null: it does not fit into a frame, or is not given away */
  private readonly file: Uint8Array | null;
  private readonly vocabulary: SentVocabulary | null;
  private readonly filesSent = new Map<number, number>();
  private readonly chunksAsked = new Map<number, Record<VocabularyPart, number>>();

  constructor(file: Uint8Array | null, vocabulary: SentVocabulary | null) {
    this.file = file;
    this.vocabulary = vocabulary;
  }

  /** The whole in one frame: each costs up to 16 MB of output. @throws ProtocolError that ends the connection */
  whole(connection: number, { limits }: Peer): TokenizerFrame {
    const asked = (this.filesSent.get(connection) ?? 0) + 1;
    if (asked > MOST_TIMES) throw tooOften("tokenizer");
    this.filesSent.set(connection, asked);
    const frame = this.file && ({ type: "tokenizer", file: this.file } as const);
    if (frame && frameBytes(frame) <= limits.frameBytes) return frame;
    const why = frame
      ? `sends no frame over the edge's ${limits.frameBytes} bytes`
      : "gives no tokenizer away";
    throw new ProtocolError("no_tokenizer", `this cloud ${why}; bring a model of the target's family`);
  }

  /** Counts a chunk that is asked for. @throws ProtocolError that ends the connection */
  chunk(connection: number, { features }: Peer, { part, chunk }: VocabularyRequestFrame): void {
    const { vocabulary } = this;
    if (!vocabulary || !features.has("vocabulary")) {
      const message = "this cloud gives no vocabulary away; bring a model with the target's own tokenizer";
      throw new ProtocolError("no_tokenizer", message);
    }
    const asked = this.chunksAsked.get(connection) ?? { file: 0, blocks: 0, entries: 0 };
    const count = chunksOf(part, vocabulary);
    if (asked[part] >= MOST_TIMES * count) throw tooOften(`vocabulary's ${part}`);
    asked[part]++;
    this.chunksAsked.set(connection, asked);
    if (chunk < count) return;
    const message = `there are ${count} chunks of ${part}, and none of number ${chunk}`;
    throw new ProtocolError("bad_frame", message);
  }

  forget(connection: number): void {
    this.filesSent.delete(connection);
    this.chunksAsked.delete(connection);
  }

  /** Connections that something is counted of, at most. */
  get counted(): number {
    return Math.max(this.filesSent.size, this.chunksAsked.size);
  }
}

function tooOften(what: string): ProtocolError {
  const message = `a connection gets the ${what} ${MOST_TIMES} times at most: keep it`;
  return new ProtocolError("unexpected_frame", message);
}
