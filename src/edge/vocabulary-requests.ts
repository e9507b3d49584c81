import type { TokenizerRequestFrame, VocabularyRequestFrame } from "../protocol/frame.ts";
import { CloudError } from "./connection.ts";

/** @param bytes meaningless with an error; the receiver's */
export type BytesDone = (error: CloudError | null, bytes: Uint8Array) => void;

type Request = TokenizerRequestFrame | VocabularyRequestFrame;

/** What an edge has asked for of the target's vocabulary, and has not got: it outlives a link that breaks. */
export class VocabularyRequests {
  private readonly waiting = new Map<string, { readonly frame: Request; readonly done: BytesDone }>();

  get size(): number {
    return this.waiting.size;
  }

  /** To be sent again over another link. */
  frames(): readonly Request[] {
    return [...this.waiting.values()].map(({ frame }) => frame);
  }

  /** @throws CloudError `already_asked` while the same is out */
  add(frame: Request, done: BytesDone): void {
    const key = keyOf(frame);
    if (this.waiting.has(key)) {
      throw new CloudError("already_asked", `the ${key} has been asked for: wait for it`);
    }
    this.waiting.set(key, { frame, done });
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
