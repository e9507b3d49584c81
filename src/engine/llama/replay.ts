import { assert } from "../../util/assert.ts";
import type { Decoder } from "./decoder.ts";
import { cannotTruncate } from "./errors.ts";
import { equalGroups, type GroupMember, wholeRuns } from "./groups.ts";
import type { Histories } from "./histories.ts";

/** What one sequence adds to a decode. */
export interface Share {
  readonly sequence: number;
  /** position of its first token */
  readonly from: number;
  readonly count: number;
  /** how many of the last tokens get a row */
  readonly rows: number;
  /** place of its first token among all that were added */
  readonly place: number;
}

/** Tokens of a share, with those before them that are to be computed again. */
interface Piece extends Omit<Share, "count"> {
  readonly tokens: Int32Array;
}

export interface ReplayShape {
  /** groups with equally many tokens a sequence are made here, and not by llama.cpp */
  readonly grouped: boolean;
  readonly slidingWindow: boolean;
  /** most tokens of one run */
  readonly runTokens: number;
}

/** Decodes for models with histories: first back to where each sequence was, then on. */
export class ReplayingDecoder {
  readonly histories: Histories;
  private readonly decoder: Decoder;
  private readonly shape: ReplayShape;
  /** by the token's place: where its row is in the batch, or a copy of it */
  private readonly rows = new Map<number, number | Float32Array>();

  constructor(decoder: Decoder, histories: Histories, shape: ReplayShape) {
    this.decoder = decoder;
    this.histories = histories;
    this.shape = shape;
  }

  /** @param accompanied nothing may be alone in a run @throws EngineError */
  async decode(shares: readonly Share[], accompanied: boolean): Promise<void> {
    const { histories } = this;
    this.rows.clear();
    for (const { sequence } of shares) await histories.goBack(sequence);
    const behind = shares.filter(({ sequence, from }) => histories.isBehind(sequence, from));
    const replayed = behind.map((share) => ({ ...this.piece(share, share.from), rows: 0 }));
    await this.runAll(replayed, accompanied);
    const pieces = shares.map((share) => this.piece(share, share.from + share.count));
    for (const { sequence, rows, tokens } of pieces) {
      const isPadded = this.shape.grouped && accompanied && tokens.length === 1;
      await histories.keep(sequence, rows > 1 || isPadded);
    }
    await this.runAll(pieces, accompanied);
  }

  /** The row after the token that was added at `place`, valid until the next decode. */
  row(place: number): Float32Array {
    const row = this.rows.get(place);
    assert(row !== undefined, `token ${place} of those added has no row`);
    return typeof row === "number" ? this.decoder.row(row) : row;
  }

  private piece(share: Share, end: number): Piece {
    const { from, tokens } = this.histories.missing(share.sequence, end);
    return { ...share, place: share.place + from - share.from, from, tokens };
  }

  private async runAll(pieces: readonly Piece[], accompanied: boolean): Promise<void> {
    if (pieces.length === 0) return;
    const { grouped, runTokens } = this.shape;
    const counts = pieces.map(({ tokens }) => tokens.length);
    const runs = grouped ? equalGroups(counts, accompanied) : wholeRuns(counts, runTokens);
    for (const run of runs) await this.run(run, pieces, accompanied, runs.length > 1);
  }

  private async run(
    run: readonly GroupMember[],
    pieces: readonly Piece[],
    accompanied: boolean,
    copies: boolean,
  ): Promise<void> {
    const { batch, cells } = this.decoder;
    batch.clear();
    const placed = run.map((member) => this.place(member, pieces[member.share]!));
    if (accompanied) batch.accompany();
    const before = cells.moves;
    await new Promise<void>((resolve, reject) =>
      this.decoder.run((error) => (error ? reject(error) : resolve())),
    );
    if (this.shape.slidingWindow && cells.moves !== before) this.histories.windowsMoved();
    for (const { index, place, rows } of placed) {
      for (let i = 0; i < rows; i++) {
        this.rows.set(place + i, copies ? this.decoder.row(index + i).slice() : index + i);
      }
    }
    this.settle(run, pieces);
  }

  /** Into the batch. @returns where its rows begin, and how many there are */
  private place({ share, from, count, padded }: GroupMember, { sequence, tokens, ...piece }: Piece) {
    const { batch } = this.decoder;
    const end = from + count;
    const rows = Math.max(0, Math.min(count, end - (tokens.length - piece.rows)));
    const index = batch.add(sequence, piece.from + from, tokens.subarray(from, end), rows);
    if (padded) batch.add(sequence, piece.from + end, tokens.subarray(end - 1, end), 0);
    assert(index >= 0, `share ${share} has no place in the batch`);
    return { index, rows, place: piece.place + end - rows };
  }

  private settle(run: readonly GroupMember[], pieces: readonly Piece[]): void {
    const { batch, cells } = this.decoder;
    for (const { share, from, count, padded } of run) {
      const piece = pieces[share]!;
      this.histories.computed(piece.sequence, piece.from + from + count, padded ? 1 : 0);
    }
    const last = run.at(-1);
    if (!batch.hasCompanion || !last) return;
    const { sequence, from } = pieces[last.share]!;
    if (!cells.drop(sequence, from + last.from + last.count)) throw cannotTruncate();
  }
}
