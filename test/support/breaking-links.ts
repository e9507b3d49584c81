import { decode } from "../../src/protocol/decode.ts";
import { encode } from "../../src/protocol/encode.ts";
import type { Frame, OpenFrame } from "../../src/protocol/frame.ts";
import type { Transport, TransportHandlers } from "../../src/transport/transport.ts";
import type { Clock } from "../../src/util/clock.ts";

/**
 * How a link breaks: with drafts that never arrive; with a verdict that never arrives; or behind drafts that arrive, where
 * the cloud does not hear of it and goes on, until the edge comes back over another link.
 */
export type Break = "draftLost" | "verdictLost" | "halfOpen";

export const BREAKS: readonly Break[] = ["draftLost", "verdictLost", "halfOpen"];
/** Frames of its kind that pass before a link breaks: fewer than this. */
const MOST_BEFORE = 12;

/** A session as it was seen over one link. */
interface Seen {
  readonly resumed: boolean;
  /** end of what the edge has sent */
  sent: number;
  /** end of what it knows to be committed */
  committed: number;
  wentOn: boolean;
}

/** The edge's ends of its links to one cloud, in one process. They break by what passes, where a draw says so. */
export class BreakingLinks {
  readonly breaks: Record<Break, number> = { draftLost: 0, verdictLost: 0, halfOpen: 0 };
  /** sessions of which drafts were in flight, over all breaks */
  inFlight = 0;
  /** sessions that were opened again */
  resumed = 0;
  /** of those the ones of which more was committed over that link */
  wentOn = 0;
  /** how many more links are to break */
  left = 0;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly reopened: (frame: OpenFrame) => OpenFrame;
  private made = 0;
  /** of links that broke, and of which the cloud does not know yet */
  private readonly halfOpen: Transport[] = [];

  /** @param reopened what the edge says instead when it resumes a session; default: what it says */
  constructor(clock: Clock, random: () => number, reopened = (frame: OpenFrame) => frame) {
    this.clock = clock;
    this.random = random;
    this.reopened = reopened;
  }

  get counts() {
    const { breaks, inFlight, resumed, wentOn } = this;
    return { ...breaks, inFlight, resumed, wentOn };
  }

  /** A new link: `inner` is the edge's end of one without faults. */
  over(inner: Transport): Transport {
    // A cloud notices in the end.
    while (this.halfOpen.length > 1) this.halfOpen.shift()!.close();
    const { clock } = this;
    const sessions = new Map<number, Seen>();
    const kind = BREAKS[this.made++ % BREAKS.length]!;
    let before = Math.floor(this.random() * MOST_BEFORE);
    let handlers: TransportHandlers | null = null;
    let open = true;
    /** @returns whether this frame is the one that breaks the link */
    const breaks = (frame: Frame) => {
      const counts = frame.type === (kind === "verdictLost" ? "verdict" : "draft") && frame.tokens.length > 0;
      return counts && this.left > 0 && before-- <= 0;
    };
    const breakNow = () => {
      open = false;
      this.left--;
      this.breaks[kind]++;
      for (const { sent, committed } of sessions.values()) if (sent > committed) this.inFlight++;
      if (kind === "halfOpen") this.halfOpen.push(inner);
      else inner.close();
      clock.schedule(clock.nowMs(), () => handlers?.closed("the link was broken"));
    };
    return {
      start: (given) => {
        handlers = given;
        inner.start({
          message: (bytes) => {
            if (!open) return;
            const frame = decode(bytes);
            if (breaks(frame)) breakNow();
            else {
              this.came(sessions, frame);
              given.message(bytes);
            }
          },
          closed: (reason) => open && given.closed(reason),
        });
      },
      send: (bytes) => {
        if (!open) return;
        const frame = decode(bytes);
        const strikes = breaks(frame);
        const said = this.goes(sessions, frame);
        if (!strikes || kind === "halfOpen") inner.send(said === frame ? bytes : encode(said));
        if (strikes) breakNow();
      },
      get queuedBytes() {
        return inner.queuedBytes;
      },
      close: () => {
        if (open) inner.close();
        open = false;
      },
    };
  }

  /** Up. @returns what is sent */
  private goes(sessions: Map<number, Seen>, frame: Frame): Frame {
    if (frame.type === "draft") {
      const seen = sessions.get(frame.session);
      if (seen) seen.sent = frame.first + frame.tokens.length;
    } else if (frame.type === "cancel") sessions.delete(frame.session);
    if (frame.type !== "open") return frame;
    const length = frame.tokens.length;
    const resumed = frame.resume !== null;
    sessions.set(frame.session, { resumed, sent: length, committed: length, wentOn: false });
    if (!resumed) return frame;
    this.resumed++;
    return this.reopened(frame);
  }

  /** Down. */
  private came(sessions: Map<number, Seen>, frame: Frame): void {
    if (frame.type === "done" || frame.type === "error") sessions.delete(frame.session);
    if (frame.type !== "verdict") return;
    const seen = sessions.get(frame.session);
    if (!seen) return;
    seen.committed = Math.max(seen.committed, frame.first + frame.tokens.length);
    if (!seen.resumed || seen.wentOn || frame.tokens.length === 0) return;
    seen.wentOn = true;
    this.wentOn++;
  }
}
