import { EngineError } from "../engine.ts";

/**
 * The frames of a mailbox, version 2: u32 length, u8 type, body, little-endian. The plugin's side and the layout are in
 * engines/vllm.
 */

const VERSION = 2;
const MAGIC = "PSMB";

const Type = {
  auth: 0x01,
  begin: 0x02,
  offer: 0x03,
  end: 0x04,
  challenge: 0x81,
  ready: 0x82,
  refused: 0x84,
  unbound: 0x85,
} as const;

/** Against a peer that is no mailbox. */
const FRAME_LIMITS = { bytes: 2 ** 20 } as const;

const HEAD_BYTES = 5;
const PROOF_BYTES = 32;
const READY_BYTES = 25;
/** of either side */
export const NONCE_BYTES = 16;

/** What an engine process says of itself. */
export interface Ready {
  readonly vocabularySize: number;
  /** most drafts that a step of the engine checks */
  readonly stepDrafts: number;
  readonly rank: number;
  /** processes that one server spreads its requests over */
  readonly ranks: number;
  /** of the prefixes' hash */
  readonly key: bigint;
  /** most tokens of one offer */
  readonly offerTokens: number;
  /** most sessions */
  readonly sessions: number;
  /** It knows which row is which request; else it drops what is offered for one. */
  readonly binds: boolean;
}

export type MailboxFrame =
  | { readonly type: "challenge"; readonly nonce: Uint8Array }
  /** `told`: the bytes of `ready` that the proof is of as well */
  | { readonly type: "ready"; readonly ready: Ready; readonly proof: Uint8Array; readonly told: Uint8Array }
  | { readonly type: "unbound" }
  | { readonly type: "refused"; readonly reason: string };

/** Cuts a stream into frames. */
export class MailboxReader {
  private held = Buffer.alloc(0);

  /** @throws EngineError `mailbox` for what is no frame of a mailbox, or of another version */
  push(bytes: Uint8Array): MailboxFrame[] {
    this.held = Buffer.concat([this.held, bytes]);
    const frames: MailboxFrame[] = [];
    while (this.held.length >= HEAD_BYTES) {
      const length = this.held.readUInt32LE(0);
      if (length < 1 || length > FRAME_LIMITS.bytes) throw bad(`a frame of ${length} bytes`);
      if (this.held.length < 4 + length) break;
      frames.push(frameOf(this.held[4]!, this.held.subarray(HEAD_BYTES, 4 + length)));
      this.held = this.held.subarray(4 + length);
    }
    return frames;
  }
}

function frameOf(type: number, body: Buffer): MailboxFrame {
  switch (type) {
    case Type.challenge:
      return { type: "challenge", nonce: nonceOf(body) };
    case Type.ready:
      return readyOf(body);
    case Type.unbound:
      return { type: "unbound" };
    case Type.refused:
      return { type: "refused", reason: body.toString("utf8").slice(0, 500) };
    default:
      throw bad(`a frame of type ${type}`);
  }
}

function nonceOf(body: Buffer): Uint8Array {
  if (body.length < MAGIC.length + 2 + NONCE_BYTES || body.toString("latin1", 0, 4) !== MAGIC) {
    throw bad("no mailbox's greeting");
  }
  const version = body.readUInt16LE(MAGIC.length);
  if (version !== VERSION) {
    const message = `the mailbox speaks version ${version} of its protocol, and this gateway ${VERSION}; install the same release of both`;
    throw new EngineError("mailbox", message);
  }
  return new Uint8Array(body.subarray(MAGIC.length + 2, MAGIC.length + 2 + NONCE_BYTES));
}

function readyOf(body: Buffer): MailboxFrame {
  if (body.length < PROOF_BYTES + READY_BYTES) throw bad("a short frame");
  const [proof, told] = [body.subarray(0, PROOF_BYTES), body.subarray(PROOF_BYTES)];
  const ready: Ready = {
    vocabularySize: told.readUInt32LE(0),
    stepDrafts: told.readUInt16LE(4),
    rank: told.readUInt16LE(6),
    ranks: told.readUInt16LE(8),
    key: told.readBigUInt64LE(10),
    offerTokens: told.readUInt16LE(18),
    sessions: told.readUInt32LE(20),
    binds: told.readUInt8(24) === 1,
  };
  return { type: "ready", ready, proof: new Uint8Array(proof), told: new Uint8Array(told) };
}

function bad(what: string): EngineError {
  return new EngineError("mailbox", `${what}: what is behind the address of --mailbox is no mailbox`);
}

function frame(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(0, 1 + body.length, true);
  bytes[4] = type;
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

/** @param nonce the gateway's, 16 bytes @param proof 32 bytes */
export function authFrame(nonce: Uint8Array, proof: Uint8Array): Uint8Array {
  return frame(Type.auth, Buffer.concat([nonce, proof]));
}

/** @param requestId the engine's own; empty: it is not known */
export function beginFrame(session: number, requestId: string): Uint8Array {
  const text = new TextEncoder().encode(requestId);
  const body = new Uint8Array(6 + text.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, session, true);
  view.setUint16(4, text.length, true);
  body.set(text, 6);
  return frame(Type.begin, body);
}

/** @param base length of the prefix @param tokens that may follow it, Int32Array[n] */
export function offerFrame(session: number, base: number, hash: bigint, tokens: Int32Array): Uint8Array {
  const body = new Uint8Array(18 + 4 * tokens.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, session, true);
  view.setUint32(4, base, true);
  view.setBigUint64(8, hash, true);
  view.setUint16(16, tokens.length, true);
  for (const [i, token] of tokens.entries()) view.setUint32(18 + 4 * i, token, true);
  return frame(Type.offer, body);
}

export function endFrame(session: number): Uint8Array {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setUint32(0, session, true);
  return frame(Type.end, body);
}
