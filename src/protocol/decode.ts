import { SESSION_LIMITS } from "../decoding/session.ts";
import type { Rejection, TokenLogprobs } from "../sampling/question.ts";
import {
  doneSchema,
  errorSchema,
  goAwaySchema,
  helloSchema,
  parseControl,
  parseOpen,
  welcomeSchema,
} from "./control.ts";
import { ProtocolError } from "./errors.ts";
import {
  DraftFlag,
  type DraftFrame,
  type DraftProbabilities,
  type Frame,
  FrameType,
  HEADER_BYTES,
  PingFlag,
  type PingFrame,
  PROTOCOL_LIMITS,
  VerdictFlag,
  VOCABULARY_PARTS,
  type VocabularyPart,
  WitnessesFlag,
} from "./frame.ts";

/**
 * Reads fields one after the other; arrays come out as views of the received buffer. Every read is checked
 * against the frame's end, and `done` against bytes that no field accounts for.
 */
class Reader {
  readonly type: number;
  readonly flags: number;
  readonly count: number;
  readonly session: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private offset = HEADER_BYTES;

  constructor(received: Uint8Array) {
    if (received.length < HEADER_BYTES || received.length > PROTOCOL_LIMITS.frameBytes) {
      throw bad(`a frame has ${HEADER_BYTES} bytes to ${PROTOCOL_LIMITS.frameBytes}, not ${received.length}`);
    }
    // Array views need aligned memory, and a socket's chunks start anywhere.
    this.bytes = received.byteOffset % 8 === 0 ? received : new Uint8Array(received);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.type = this.bytes[0]!;
    this.flags = this.bytes[1]!;
    this.count = this.view.getUint16(2, true);
    this.session = this.counter(this.view.getUint32(4, true), "session");
  }

  /** A number that counts something and has to stay below 2^31. */
  u32(what: string, below: number = PROTOCOL_LIMITS.counter): number {
    return this.counter(this.view.getUint32(this.take(4), true), what, below);
  }

  u16(what: string, most: number): number {
    const value = this.view.getUint16(this.take(2), true);
    if (value > most) throw bad(`${what} is ${value}, and ${most} is the most`);
    return value;
  }

  f32(): number {
    return probability(this.view.getFloat32(this.take(4), true));
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  /** Token ids as a view, each checked to be one. */
  tokens(count: number): Int32Array {
    const start = this.take(count * 4);
    const ids = new Int32Array(this.bytes.buffer, this.bytes.byteOffset + start, count);
    for (let i = 0; i < count; i++) {
      if (ids[i]! < 0 || ids[i]! >= PROTOCOL_LIMITS.vocabulary) throw bad(`${ids[i]} is no token id`);
    }
    return ids;
  }

  /** Probabilities as a view, each checked to be one. */
  probabilities(count: number): Float32Array {
    const start = this.take(count * 4);
    const values = new Float32Array(this.bytes.buffer, this.bytes.byteOffset + start, count);
    for (let i = 0; i < count; i++) probability(values[i]!);
    return values;
  }

  /** Natural logarithms of probabilities, as a view. */
  logprobs(count: number): Float32Array {
    const start = this.take(count * 4);
    const values = new Float32Array(this.bytes.buffer, this.bytes.byteOffset + start, count);
    for (let i = 0; i < count; i++) {
      // A token that is not possible at all has -Infinity; rounding may leave a little more than 0.
      if (!(values[i]! <= 0.001)) throw bad(`${values[i]} is no logarithm of a probability`);
    }
    return values;
  }

  raw(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  rest(): Uint8Array {
    return this.raw(this.bytes.length - this.offset);
  }

  done<T>(frame: T): T {
    const left = this.bytes.length - this.offset;
    if (left !== 0) throw bad(`${left} bytes after the end of the frame`);
    return frame;
  }

  private take(count: number): number {
    const start = this.offset;
    if (start + count > this.bytes.length) throw bad("the frame ends too early");
    this.offset += count;
    return start;
  }

  private counter(value: number, what: string, below: number = PROTOCOL_LIMITS.counter): number {
    if (value >= below) throw bad(`${what} is ${value}, and has to be below ${below}`);
    return value;
  }
}

function bad(message: string): ProtocolError {
  return new ProtocolError("bad_frame", `bad frame: ${message}`);
}

function probability(value: number): number {
  // Rounding may leave a sum of probabilities a little above 1.
  if (!(value >= 0 && value <= 1.001)) throw bad(`${value} is no probability`);
  return value;
}

/**
 * Bytes as a frame. Past this everything in it is within its bounds; what only a session can know (whether a
 * position fits, whether an id is in the vocabulary) is checked there.
 * @param received the frame's arrays are views of it: it must not be written to again
 * @throws ProtocolError `bad_frame` or `bad_setting`
 * @example
 * import { decode, encode } from "picospec";
 *
 * const frame = decode(encode({ type: "ping", sentAtMs: 0, paddingBytes: 0, echo: true }));
 * console.log(frame.type);
 */
export function decode(received: Uint8Array): Frame {
  const reader = new Reader(received);
  switch (reader.type) {
    case FrameType.hello:
      return {
        type: "hello",
        ...parseControl(helloSchema, "hello", controlBytes(reader, PROTOCOL_LIMITS.helloBytes)),
      };
    case FrameType.welcome:
      return { type: "welcome", ...parseControl(welcomeSchema, "welcome", controlBytes(reader)) };
    case FrameType.done: {
      const done = parseControl(doneSchema, "done", controlBytes(reader));
      return { type: "done", session: reader.session, ...done };
    }
    case FrameType.error: {
      const error = parseControl(errorSchema, "error", controlBytes(reader));
      return { type: "error", session: reader.session, ...error };
    }
    case FrameType.goAway:
      return { type: "goAway", ...parseControl(goAwaySchema, "goAway", controlBytes(reader)) };
    case FrameType.open:
      return decodeOpen(reader);
    case FrameType.draft:
      return decodeDraft(reader);
    case FrameType.verdict:
      return decodeVerdict(reader);
    case FrameType.witnessRequest: {
      const { session, count } = reader;
      if (count > PROTOCOL_LIMITS.witnesses) throw bad(`${count} witnesses are too many to ask for`);
      const [lineage, position, from] = [reader.u32("lineage"), reader.u32("position"), reader.u32("from")];
      return reader.done({ type: "witnessRequest", session, lineage, position, from, count });
    }
    case FrameType.witnesses:
      return decodeWitnesses(reader);
    case FrameType.cancel:
      return reader.done({ type: "cancel", session: reader.session });
    case FrameType.ping:
      return decodePing(reader, "ping");
    case FrameType.pong:
      return decodePing(reader, "pong");
    case FrameType.tokenizerRequest:
      return reader.done({ type: "tokenizerRequest" });
    case FrameType.tokenizer: {
      const bytes = reader.u32("tokenizer", PROTOCOL_LIMITS.frameBytes);
      return reader.done({ type: "tokenizer", file: reader.raw(bytes) });
    }
    case FrameType.vocabularyRequest:
      return reader.done({ type: "vocabularyRequest", ...vocabularyPlace(reader) });
    case FrameType.vocabulary: {
      const place = vocabularyPlace(reader);
      const bytes = reader.u32("a chunk", PROTOCOL_LIMITS.chunkBytes + 1);
      return reader.done({ type: "vocabulary", ...place, bytes: reader.raw(bytes) });
    }
    default:
      throw bad(`there is no frame type ${reader.type}`);
  }
}

function vocabularyPlace(reader: Reader): { part: VocabularyPart; chunk: number } {
  const part = VOCABULARY_PARTS[reader.u32("a part of the vocabulary", VOCABULARY_PARTS.length)]!;
  return { part, chunk: reader.u32("chunk", PROTOCOL_LIMITS.vocabulary) };
}

function controlBytes(reader: Reader, most: number = PROTOCOL_LIMITS.controlBytes): Uint8Array {
  const json = reader.rest();
  if (json.length > most) throw bad("a control frame over its limit");
  return json;
}

function decodePing(reader: Reader, type: "ping" | "pong"): PingFrame {
  if (reader.flags > PingFlag.echo) throw bad("unknown flags");
  const sentAtMs = reader.f64();
  const paddingBytes = reader.u32("padding", PROTOCOL_LIMITS.paddingBytes + 1);
  reader.raw(paddingBytes);
  return reader.done({ type, sentAtMs, paddingBytes, echo: reader.flags === PingFlag.echo });
}

function decodeOpen(reader: Reader): Frame {
  const tokenCount = reader.u32("prompt length", PROTOCOL_LIMITS.promptTokens + 1);
  const jsonBytes = reader.u32("settings length", PROTOCOL_LIMITS.controlBytes + 1);
  if (tokenCount === 0) throw bad("an empty prompt");
  const tokens = reader.tokens(tokenCount);
  const body = parseOpen(reader.raw(jsonBytes), reader.session);
  const { secret, resume } = body;
  if (resume && (secret === null || resume.promptTokens > tokenCount)) {
    throw bad("a resumption needs the secret, and no more prompt than tokens");
  }
  return reader.done({ type: "open", session: reader.session, tokens, ...body });
}

function decodeDraft(reader: Reader): DraftFrame {
  const { session, flags, count } = reader;
  if (count > PROTOCOL_LIMITS.draftTokens) throw bad(`${count} drafts in one frame`);
  const lineage = reader.u32("lineage");
  const first = reader.u32("first");
  const committedThrough = reader.u32("committedThrough");
  const width = reader.u32("width", PROTOCOL_LIMITS.vocabulary + 1);
  const tokens = reader.tokens(count);
  const q = draftProbabilities(reader, flags, count, width);
  const final = (flags & DraftFlag.final) !== 0;
  return reader.done({ type: "draft", session, lineage, first, committedThrough, final, tokens, q });
}

function draftProbabilities(reader: Reader, flags: number, count: number, width: number): DraftProbabilities {
  if ((flags & ~(DraftFlag.sparseQ | DraftFlag.denseQ | DraftFlag.final)) !== 0) throw bad("unknown flags");
  const dense = (flags & DraftFlag.denseQ) !== 0;
  if (dense !== width > 0) throw bad("a width goes with dense q and with nothing else");
  if ((flags & DraftFlag.sparseQ) !== 0) {
    if (dense) throw bad("q is either sparse or dense");
    return { kind: "sparse", values: reader.probabilities(count) };
  }
  if (dense) return { kind: "dense", width, values: reader.probabilities(count * width) };
  return { kind: "none" };
}

function verdictLogprobs(reader: Reader, count: number): TokenLogprobs[] {
  const tops = reader.u16("top logprobs", SESSION_LIMITS.topLogprobs);
  reader.u16("what is reserved", 0);
  const own = reader.logprobs(count);
  const [ids, logprobs] = [reader.tokens(count * tops), reader.logprobs(count * tops)];
  return Array.from(own, (logprob, i) => ({
    logprob,
    topIds: ids.subarray(i * tops, (i + 1) * tops),
    topLogprobs: logprobs.subarray(i * tops, (i + 1) * tops),
  }));
}

function decodeVerdict(reader: Reader): Frame {
  const { session, count } = reader;
  if (count > PROTOCOL_LIMITS.verdictTokens) throw bad(`${count} tokens in one verdict`);
  const lineage = reader.u32("lineage");
  const first = reader.u32("first");
  const tokens = reader.tokens(count);
  const hasLogprobs = (reader.flags & VerdictFlag.logprobs) !== 0;
  const logprobs = hasLogprobs ? verdictLogprobs(reader, count) : null;
  const flags = reader.flags & ~VerdictFlag.logprobs;
  let rejection: Rejection | null = null;
  if (flags === VerdictFlag.sparseRejection) {
    const headCount = reader.u16("head", PROTOCOL_LIMITS.headTokens);
    if (headCount === 0) throw bad("a rejection without a head");
    const witnessCount = reader.u16("witnesses", PROTOCOL_LIMITS.witnesses);
    const tailMass = reader.f32();
    const [ids, probabilities] = [reader.tokens(headCount), reader.probabilities(headCount)];
    const witnesses = {
      ids: reader.tokens(witnessCount),
      probabilities: reader.probabilities(witnessCount),
    };
    rejection = { kind: "sparse", ids, probabilities, tailMass, witnesses };
  } else if (flags === VerdictFlag.denseRejection) {
    const width = reader.u32("vocabulary", PROTOCOL_LIMITS.vocabulary + 1);
    rejection = { kind: "dense", probabilities: reader.probabilities(width) };
  } else if (flags !== 0) throw bad("unknown flags");
  // Written out: a spread makes V8 build a new hidden class each time.
  const frame: Frame = logprobs
    ? { type: "verdict", session, lineage, first, tokens, logprobs, rejection }
    : { type: "verdict", session, lineage, first, tokens, rejection };
  return reader.done(frame);
}

function decodeWitnesses(reader: Reader): Frame {
  const { session, flags, count } = reader;
  if (count > PROTOCOL_LIMITS.witnesses) throw bad(`${count} witnesses in one frame`);
  const [lineage, position, from] = [reader.u32("lineage"), reader.u32("position"), reader.u32("from")];
  const width = reader.u32("vocabulary", PROTOCOL_LIMITS.vocabulary + 1);
  const dense = flags === WitnessesFlag.dense;
  if (flags > WitnessesFlag.dense || dense !== width > 0) throw bad("a width goes with all of p only");
  if (dense) {
    const reply = { kind: "dense", probabilities: reader.probabilities(width) } as const;
    return reader.done({ type: "witnesses", session, lineage, position, from, reply });
  }
  const witnesses = { ids: reader.tokens(count), probabilities: reader.probabilities(count) };
  return reader.done({
    type: "witnesses",
    session,
    lineage,
    position,
    from,
    reply: { kind: "witnesses", witnesses },
  });
}
