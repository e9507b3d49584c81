import type { TokenLogprobs } from "../sampling/question.ts";
import { AssertionError, assert, unreachable } from "../util/assert.ts";
import { openJson } from "./control.ts";
import {
  DraftFlag,
  type DraftFrame,
  type Frame,
  FrameType,
  HEADER_BYTES,
  type OpenFrame,
  PingFlag,
  PROTOCOL_LIMITS,
  VerdictFlag,
  type VerdictFrame,
  VOCABULARY_PARTS,
  type VocabularyFrame,
  type VocabularyRequestFrame,
  WitnessesFlag,
  type WitnessesFrame,
} from "./frame.ts";

// The arrays are written as this machine holds them, and the wire is little-endian.
assert(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, "PicoSpec needs a little-endian machine");

/** Writes fields one after the other into a frame of known size. */
class Writer {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private offset = HEADER_BYTES;

  constructor(type: number, flags: number, count: number, session: number, size: number) {
    if (size > PROTOCOL_LIMITS.frameBytes) {
      throw new AssertionError(`a frame of ${size} bytes is over the limit`);
    }
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.bytes[0] = type;
    this.bytes[1] = flags;
    this.view.setUint16(2, count, true);
    this.view.setUint32(4, session, true);
  }

  u16(value: number): void {
    this.view.setUint16(this.offset, value, true);
    this.offset += 2;
  }

  u32(value: number): void {
    this.view.setUint32(this.offset, value, true);
    this.offset += 4;
  }

  f32(value: number): void {
    this.view.setFloat32(this.offset, value, true);
    this.offset += 4;
  }

  f64(value: number): void {
    this.view.setFloat64(this.offset, value, true);
    this.offset += 8;
  }

  raw(values: Int32Array | Float32Array | Uint8Array): void {
    this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), this.offset);
    this.offset += values.byteLength;
  }

  done(): Uint8Array {
    if (this.offset !== this.bytes.length) {
      throw new AssertionError(`wrote ${this.offset} of ${this.bytes.length} bytes`);
    }
    return this.bytes;
  }
}

/** Payload bytes of a frame, without making them where that is cheap. */
export function frameBytes(frame: Frame): number {
  switch (frame.type) {
    case "draft":
      return draftBytes(frame);
    case "verdict":
      return verdictBytes(frame);
    case "witnessRequest":
      return HEADER_BYTES + 12;
    case "witnesses":
      return witnessesBytes(frame);
    case "cancel":
      return HEADER_BYTES;
    case "ping":
    case "pong":
      return HEADER_BYTES + 12 + frame.paddingBytes;
    case "tokenizer":
      return HEADER_BYTES + 4 + frame.file.length;
    default:
      return encode(frame).length;
  }
}

/**
 * A frame as bytes, in a buffer of its own: a socket may hold it for as long as it likes.
 * @example
 * import { encode } from "picospec";
 *
 * console.log(encode({ type: "ping", sentAtMs: 0, paddingBytes: 0, echo: true }).length);
 */
export function encode(frame: Frame): Uint8Array {
  switch (frame.type) {
    case "hello":
    case "welcome":
    case "goAway": {
      const { type, ...body } = frame;
      return control(FrameType[type], 0, body);
    }
    case "done":
    case "error": {
      const { type, session, ...body } = frame;
      return control(FrameType[type], session, body);
    }
    case "open":
      return encodeOpen(frame);
    case "draft":
      return encodeDraft(frame);
    case "verdict":
      return encodeVerdict(frame);
    case "witnessRequest": {
      const writer = new Writer(FrameType.witnessRequest, 0, frame.count, frame.session, HEADER_BYTES + 12);
      writer.u32(frame.lineage);
      writer.u32(frame.position);
      writer.u32(frame.from);
      return writer.done();
    }
    case "witnesses":
      return encodeWitnesses(frame);
    case "cancel":
      return new Writer(FrameType.cancel, 0, 0, frame.session, HEADER_BYTES).done();
    case "ping":
    case "pong": {
      const flags = frame.echo ? PingFlag.echo : 0;
      const writer = new Writer(FrameType[frame.type], flags, 0, 0, frameBytes(frame));
      writer.f64(frame.sentAtMs);
      writer.u32(frame.paddingBytes);
      writer.raw(new Uint8Array(frame.paddingBytes));
      return writer.done();
    }
    case "tokenizerRequest":
      return new Writer(FrameType.tokenizerRequest, 0, 0, 0, HEADER_BYTES).done();
    case "tokenizer": {
      const writer = new Writer(FrameType.tokenizer, 0, 0, 0, frameBytes(frame));
      writer.u32(frame.file.length);
      writer.raw(frame.file);
      return writer.done();
    }
    case "vocabularyRequest":
    case "vocabulary":
      return encodeVocabulary(frame);
    default:
      return unreachable(frame);
  }
}

function encodeVocabulary(frame: VocabularyRequestFrame | VocabularyFrame): Uint8Array {
  const bytes = frame.type === "vocabulary" ? frame.bytes : null;
  const size = HEADER_BYTES + 8 + (bytes ? 4 + bytes.length : 0);
  const writer = new Writer(FrameType[frame.type], 0, 0, 0, size);
  writer.u32(VOCABULARY_PARTS.indexOf(frame.part));
  writer.u32(frame.chunk);
  if (bytes) {
    writer.u32(bytes.length);
    writer.raw(bytes);
  }
  return writer.done();
}

function control(type: number, session: number, body: unknown): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(body));
  const writer = new Writer(type, 0, 0, session, HEADER_BYTES + json.length);
  writer.raw(json);
  return writer.done();
}

function encodeOpen(frame: OpenFrame): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(openJson(frame)));
  const size = HEADER_BYTES + 8 + frame.tokens.byteLength + json.length;
  const writer = new Writer(FrameType.open, 0, 0, frame.session, size);
  writer.u32(frame.tokens.length);
  writer.u32(json.length);
  writer.raw(frame.tokens);
  writer.raw(json);
  return writer.done();
}

function draftBytes({ tokens, q }: DraftFrame): number {
  return HEADER_BYTES + 16 + tokens.byteLength + (q.kind === "none" ? 0 : q.values.byteLength);
}

function verdictBytes({ tokens, logprobs, rejection }: VerdictFrame): number {
  return HEADER_BYTES + 8 + tokens.byteLength + logprobsBytes(logprobs) + rejectionBytes(rejection);
}

function logprobsBytes(logprobs: VerdictFrame["logprobs"]): number {
  return logprobs ? 4 + logprobs.length * (4 + 8 * topsOf(logprobs)) : 0;
}

/** Tokens have equally many. */
function topsOf(logprobs: readonly TokenLogprobs[]): number {
  return logprobs[0]?.topIds.length ?? 0;
}

function witnessesBytes({ reply }: WitnessesFrame): number {
  const body = reply.kind === "dense" ? reply.probabilities.byteLength : 8 * reply.witnesses.ids.length;
  return HEADER_BYTES + 16 + body;
}

function encodeDraft(frame: DraftFrame): Uint8Array {
  const { q, tokens } = frame;
  const kind = { none: 0, sparse: DraftFlag.sparseQ, dense: DraftFlag.denseQ }[q.kind];
  const flags = kind | (frame.final ? DraftFlag.final : 0);
  const writer = new Writer(FrameType.draft, flags, tokens.length, frame.session, draftBytes(frame));
  writer.u32(frame.lineage);
  writer.u32(frame.first);
  writer.u32(frame.committedThrough);
  writer.u32(q.kind === "dense" ? q.width : 0);
  writer.raw(tokens);
  if (q.kind !== "none") writer.raw(q.values);
  return writer.done();
}

function rejectionBytes(rejection: VerdictFrame["rejection"]): number {
  if (!rejection) return 0;
  if (rejection.kind === "dense") return 4 + rejection.probabilities.byteLength;
  return 8 + 8 * (rejection.ids.length + rejection.witnesses.ids.length);
}

function encodeVerdict(frame: VerdictFrame): Uint8Array {
  const { rejection, tokens, logprobs } = frame;
  const rejected = !rejection
    ? 0
    : rejection.kind === "dense"
      ? VerdictFlag.denseRejection
      : VerdictFlag.sparseRejection;
  const flags = rejected | (logprobs ? VerdictFlag.logprobs : 0);
  const writer = new Writer(FrameType.verdict, flags, tokens.length, frame.session, verdictBytes(frame));
  writer.u32(frame.lineage);
  writer.u32(frame.first);
  writer.raw(tokens);
  if (logprobs) writeLogprobs(writer, logprobs, tokens.length);
  if (rejection?.kind === "dense") {
    writer.u32(rejection.probabilities.length);
    writer.raw(rejection.probabilities);
  } else if (rejection) {
    writer.u16(rejection.ids.length);
    writer.u16(rejection.witnesses.ids.length);
    writer.f32(rejection.tailMass);
    writer.raw(rejection.ids);
    writer.raw(rejection.probabilities);
    writer.raw(rejection.witnesses.ids);
    writer.raw(rejection.witnesses.probabilities);
  }
  return writer.done();
}

function writeLogprobs(writer: Writer, logprobs: readonly TokenLogprobs[], tokens: number): void {
  assert(logprobs.length === tokens, "each token of a verdict has its logprobs");
  writer.u16(topsOf(logprobs));
  writer.u16(0);
  for (const { logprob } of logprobs) writer.f32(logprob);
  for (const { topIds } of logprobs) writer.raw(topIds);
  for (const { topLogprobs } of logprobs) writer.raw(topLogprobs);
}

function encodeWitnesses(frame: WitnessesFrame): Uint8Array {
  const { reply } = frame;
  const dense = reply.kind === "dense";
  const count = dense ? 0 : reply.witnesses.ids.length;
  const flags = dense ? WitnessesFlag.dense : 0;
  const writer = new Writer(FrameType.witnesses, flags, count, frame.session, witnessesBytes(frame));
  writer.u32(frame.lineage);
  writer.u32(frame.position);
  writer.u32(frame.from);
  writer.u32(dense ? reply.probabilities.length : 0);
  if (dense) writer.raw(reply.probabilities);
  else {
    writer.raw(reply.witnesses.ids);
    writer.raw(reply.witnesses.probabilities);
  }
  return writer.done();
}
