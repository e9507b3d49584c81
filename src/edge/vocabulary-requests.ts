import type { TokenizerRequestFrame, VocabularyRequestFrame } from "../protocol/frame.ts";
import { CloudError } from "./connection.ts";

/** @param bytes meaningless with an error; the receiver's */
export type BytesDone = (error: CloudError | null, bytes: Uint8Array) => void;

type Request = TokenizerRequestFrame | VocabularyRequestFrame;

interface Waiting {
  readonly frame: Request;
  readonly done: BytesDone;
  /** when it was asked for, over the latest link */
  askedMs: number;
}

/** A cloud that answers pings, and does not send what is asked for so long, never will. */
const SILENT_MS = 30_000;
/** Against a caller that asks without end: the cloud queues an answer for each. */
const MOST_REQUESTS = 64;

/** What an edge has asked for of the target's vocabulary, and has not got: it outlives a link that breaks. */
export class VocabularyRequests {
  private readonly waiting = new Map<string, Waiting>();

  get size(): number {
    return this.waiting.size;
  }

  /** To be sent again over another link. */
  again(nowMs: number): readonly Request[] {
    const all = [...this.waiting.values()];
    for (const one of all) one.askedMs = nowMs;
    return all.map(({ frame }) => frame);
  }

  /** @throws CloudError `already_asked` while the same is out, `too_many_requests` while 64 are */
  add(frame: Request, done: BytesDone, nowMs: number): void {
    const key = keyOf(frame);
    if (this.waiting.has(key)) {
      throw new CloudError("already_asked", `the ${key} has been asked for: wait for it`);
    }
    if (this.waiting.size >= MOST_REQUESTS) {
      throw new CloudError("too_many_requests", `${MOST_REQUESTS} requests are out: wait for one of them`);
    }
    this.waiting.set(key, { frame, done, askedMs: nowMs });
  }

  /** The cloud is there: ends what it has not sent in time. */
  endOverdue(nowMs: number): void {
    for (const [key, { done, askedMs }] of [...this.waiting]) {
      if (nowMs - askedMs < SILENT_MS || !this.waiting.delete(key)) continue;
      const message = `the cloud has not sent the ${key} in ${SILENT_MS / 1000} s, though it answers pings: ask again, or bring a model with the target's own tokenizer`;
      done(new CloudError("silent_cloud", message), new Uint8Array(0));
    }
  }

  /** @returns what hears of it; null: it was not asked for */
  take(frame: Request): BytesDone | null {
    const key = keyOf(frame);
    const done = this.waiting.get(key)?.done ?? null;
    this.waiting.delete(key);
    return done;
  }

  /** Nothing comes any more. @returns what hears of it */
  takeAll(): readonly BytesDone[] {
    const all = [...this.waiting.values()].map(({ done }) => done);
    this.waiting.clear();
    return all;
  }
}

function keyOf(frame: Request): string {
  return frame.type === "tokenizerRequest" ? "tokenizer" : `vocabulary's ${frame.part} ${frame.chunk}`;
}
