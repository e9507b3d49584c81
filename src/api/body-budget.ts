import type { JsonLimits } from "../util/json-scan.ts";
import { HttpError } from "./errors.ts";

/** Bounds on what requests hold of memory by their bodies, each and all together. */
export const BODY_LIMITS = {
  /** of one: a context of a million tokens has about as many */
  bytes: 4 * 1024 * 1024,
  /** of memory that a piece takes besides its bytes */
  pieceBytes: 256,
  /** a body comes in so many pieces, and one more for each so many of its bytes */
  pieces: 1000,
  bytesAPiece: 64,
  /** bodies that are being read */
  readingBytes: 16 * 1024 * 1024,
  /** of requests that are answered, or wait for it */
  heldBytes: 32 * 1024 * 1024,
  /** a body up to this is not refused for the sum: there are no more of them than connections */
  smallBytes: 64 * 1024,
} as const;

/** So that no body takes 50 ms to be parsed and checked. */
export const BODY_JSON_LIMITS: JsonLimits = {
  // Twice as many as levels of a schema.
  depth: 320,
  containers: 10_000,
  fields: 20_000,
  // A prompt may be a list of token ids.
  values: 300_000,
};

/** One body, from its first byte until its request is over. */
export interface Body {
  readonly bytes: number;
}

interface Reader extends Body {
  bytes: number;
  pieces: number;
  readonly refuse: (error: HttpError) => void;
}

/** What all bodies hold. When those that are read are too many, the largest goes: ordinary requests are small. */
export class BodyBudget {
  private readonly readers = new Set<Reader>();
  private readingBytes = 0;
  private heldBytes = 0;

  /** @param saidBytes what its header says; NaN: nothing @param refuse ends the reading @throws HttpError 413 */
  begin(saidBytes: number, refuse: (error: HttpError) => void): Reader {
    if (saidBytes > BODY_LIMITS.bytes) throw tooLarge(`${BODY_LIMITS.bytes} bytes`);
    const reader = { bytes: 0, pieces: 0, refuse };
    this.readers.add(reader);
    return reader;
  }

  /** More of it has come. @throws HttpError 413 */
  grow(reader: Reader, bytes: number): void {
    if (!this.readers.has(reader)) return;
    reader.bytes += bytes;
    reader.pieces++;
    this.readingBytes += bytes + BODY_LIMITS.pieceBytes;
    if (reader.bytes > BODY_LIMITS.bytes) throw tooLarge(`${BODY_LIMITS.bytes} bytes`);
    if (reader.pieces > BODY_LIMITS.pieces + reader.bytes / BODY_LIMITS.bytesAPiece) {
      throw new HttpError(
        413,
        "body_in_pieces",
        `a request has at most a piece for each ${BODY_LIMITS.bytesAPiece} bytes: send larger ones`,
      );
    }
    while (this.readingBytes > BODY_LIMITS.readingBytes) {
      const largest = [...this.readers].reduce((most, other) => (other.bytes > most.bytes ? other : most));
      this.end(largest);
      largest.refuse(overloaded());
    }
  }

  /** It is here as a whole; `release` gives it back. @throws HttpError 503 */
  hold(reader: Reader): void {
    this.end(reader);
    const { bytes } = reader;
    if (bytes > BODY_LIMITS.smallBytes && this.heldBytes + bytes > BODY_LIMITS.heldBytes) throw overloaded();
    this.heldBytes += bytes;
  }

  release({ bytes }: Body): void {
    this.heldBytes -= bytes;
  }

  /** It will not be read to its end. */
  end(reader: Reader): void {
    if (!this.readers.delete(reader)) return;
    this.readingBytes -= reader.bytes + reader.pieces * BODY_LIMITS.pieceBytes;
  }

  /** What is held, for tests. */
  get load(): { readonly readingBytes: number; readonly heldBytes: number } {
    return { readingBytes: this.readingBytes, heldBytes: this.heldBytes };
  }
}

function tooLarge(most: string): HttpError {
  return new HttpError(413, "body_too_large", `a request has at most ${most}`);
}

function overloaded(): HttpError {
  return new HttpError(503, "overloaded", "too many large requests at a time: try again later");
}
