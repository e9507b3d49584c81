import { frameBytes } from "../../src/protocol/encode.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import type { FrameHandlers, FrameLink } from "../../src/protocol/link.ts";
import { DelayLine, type WanProfile } from "../../src/transport/wan.ts";
import type { Clock } from "../../src/util/clock.ts";

/** Tells of a frame that was sent. */
export type Watch = (way: "up" | "down", frame: Frame, bytes: number) => void;

export interface SimLinkOptions {
  readonly profile: WanProfile;
  readonly clock: Clock;
  /** uniform draws in [0, 1) */
  readonly random: () => number;
  /** of the target that is simulated: a dense q is as wide as that */
  readonly vocabularySize: number;
  readonly watch?: Watch;
}

/** A network between an edge and a cloud that carries frames as they are: only their size is worked out. */
export class SimLink {
  readonly edge: FrameLink;
  readonly cloud: FrameLink;
  private readonly options: SimLinkOptions;
  private readonly ends: Record<"up" | "down", FrameHandlers | null> = { up: null, down: null };
  private broken = false;

  constructor(options: SimLinkOptions) {
    this.options = options;
    const { profile, clock, random } = options;
    this.edge = this.end("up", "down", new DelayLine(profile.up, clock, random));
    this.cloud = this.end("down", "up", new DelayLine(profile.down, clock, random));
  }

  /** Everything on its way is lost; each side hears of it when it does. */
  break(edgeAfterMs: number, cloudAfterMs: number): void {
    if (this.broken) return;
    this.broken = true;
    this.hang("down", edgeAfterMs);
    this.hang("up", cloudAfterMs);
  }

  private hang(way: "up" | "down", afterMs: number): void {
    const { clock } = this.options;
    clock.schedule(clock.nowMs() + afterMs, () => this.ends[way]?.closed("the simulated link broke"));
  }

  private end(out: "up" | "down", into: "up" | "down", line: DelayLine): FrameLink {
    const { watch } = this.options;
    let open = true;
    return {
      start: (handlers) => {
        this.ends[into] = handlers;
      },
      send: (frame) => {
        const bytes = this.sizeOf(frame);
        if (!open || this.broken) return bytes;
        watch?.(out, frame, bytes);
        line.carry(bytes, () => {
          if (!this.broken) this.ends[out]?.frame(frame, bytes);
        });
        return bytes;
      },
      close: () => {
        if (!open) return;
        open = false;
        this.ends[into] = null;
        if (!this.broken) line.carry(0, () => this.ends[out]?.closed("the other side closed the connection"));
      },
    };
  }

  private sizeOf(frame: Frame): number {
    const bytes = frameBytes(frame);
    if (frame.type !== "draft" || frame.q.kind !== "dense") return bytes;
    return bytes + 4 * frame.tokens.length * (this.options.vocabularySize - frame.q.width);
  }
}
