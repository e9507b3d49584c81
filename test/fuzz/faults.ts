import type { VirtualClock } from "../../src/util/virtual-clock.ts";
import { type FaultyLink, type FrameName, frameName, type Way } from "./link.ts";

/** What befalls a link, and when. Plain values, drawn from the world's seed. */

export type LinkFault =
  /** all that is on its way is lost; each side notices after a time of its own, the edge perhaps never */
  | { readonly kind: "break"; readonly edgeMs: number; readonly cloudMs: number }
  /** the edge lets go, and what it had sent still reaches the cloud, later */
  | { readonly kind: "late"; readonly edgeMs: number; readonly frozenMs: number; readonly cloudMs: number }
  /** nothing arrives for a while, and then all of it */
  | { readonly kind: "freeze"; readonly ways: readonly Way[]; readonly forMs: number }
  /** one direction is dead, and no side hears of it until the cloud's heartbeat does */
  | { readonly kind: "oneWay"; readonly lost: Way; readonly cloudMs: number }
  /** something between the two closes it, politely */
  | { readonly kind: "hangUp" };

export type Trigger =
  | { readonly kind: "time"; readonly afterMs: number }
  /** the nth frame of this name was sent, or has arrived */
  | {
      readonly kind: "frame";
      readonly moment: "sent" | "arrived";
      readonly name: FrameName;
      readonly nth: number;
    };

/** What will become of a link. */
export interface Fate {
  readonly trigger: Trigger;
  readonly fault: LinkFault;
}

/** A cloud's heartbeat cuts off a connection that answers no more, 15 to 30 s later (docs/protocol.md). */
export const HEARTBEAT_MS = 30_000;

export type Pick = <T>(...choices: T[]) => T;

export function picker(random: () => number): Pick {
  return (...choices) => choices[Math.floor(random() * choices.length)]!;
}

export function drawFault(random: () => number): LinkFault {
  const pick = picker(random);
  switch (pick("break", "break", "late", "late", "freeze", "oneWay", "hangUp")) {
    case "break":
      return {
        kind: "break",
        edgeMs: pick(0, 0, 5, 200, Number.POSITIVE_INFINITY),
        cloudMs: pick(0, 5, 200, 3000, HEARTBEAT_MS),
      };
    case "late": {
      const frozenMs = pick(0, 50, 400, 1000, 10_000);
      return {
        kind: "late",
        edgeMs: pick(0, 5, 200),
        frozenMs,
        cloudMs: frozenMs + pick(0, 200, HEARTBEAT_MS),
      };
    }
    case "freeze":
      return {
        kind: "freeze",
        ways: pick<Way[]>(["up"], ["down"], ["up", "down"]),
        forMs: pick(50, 1000, 12_000, 25_000),
      };
    case "oneWay":
      return { kind: "oneWay", lost: pick<Way>("up", "down"), cloudMs: HEARTBEAT_MS * (0.5 + random() / 2) };
    default:
      return { kind: "hangUp" };
  }
}

const FRAMES: readonly (readonly [FrameName, number])[] = [
  ["hello", 1],
  ["welcome", 1],
  ["open", 2],
  ["open", 2],
  ["draft", 8],
  ["draft", 8],
  ["verdict", 8],
  ["verdict", 8],
  ["verdict", 8],
  ["witnessRequest", 2],
  ["witnesses", 2],
  ["cancel", 1],
  ["done", 1],
  ["error", 1],
];

const WAITING: typeof FRAMES = [
  ["witnessRequest", 2],
  ["witnesses", 2],
];

/** An `open` that is still on its way when the next one, over the next link, has arrived. */
function overtaken(pick: Pick): Fate {
  const frozenMs = pick(400, 1000, 4000);
  return {
    trigger: { kind: "frame", moment: "sent", name: "open", nth: 1 },
    fault: { kind: "late", edgeMs: 0, frozenMs, cloudMs: frozenMs + pick(0, 200, HEARTBEAT_MS) },
  };
}

/** @param withinDraws prefers the moments in which a draw waits for witnesses */
export function drawFate(random: () => number, withinDraws = false): Fate {
  const pick = picker(random);
  if (random() < 0.1) return overtaken(pick);
  const fault = drawFault(random);
  const waiting = withinDraws && random() < 0.5;
  if (!waiting && random() < 0.3) {
    return { trigger: { kind: "time", afterMs: pick(50, 500, 3000) * random() }, fault };
  }
  const [name, most] = waiting ? pick(...WAITING) : pick(...FRAMES);
  const nth = 1 + Math.floor(random() * most);
  return { trigger: { kind: "frame", moment: pick("sent", "arrived"), name, nth }, fault };
}

/** A link that goes silent while a long answer is on its way: one side goes on, and must stop by itself. */
export function drawHush(random: () => number): Fate {
  const pick = picker(random);
  const fault = pick<LinkFault>(
    { kind: "freeze", ways: pick<Way[]>(["up"], ["down"], ["up", "down"]), forMs: 12_000 },
    { kind: "oneWay", lost: pick<Way>("up", "down"), cloudMs: HEARTBEAT_MS },
    { kind: "break", edgeMs: Number.POSITIVE_INFINITY, cloudMs: HEARTBEAT_MS },
  );
  return { trigger: { kind: "time", afterMs: 1000 * random() }, fault };
}

export function applyFault(link: FaultyLink, fault: LinkFault, clock: VirtualClock): void {
  const { pipes } = link;
  const later = (ms: number, act: () => void) => {
    if (Number.isFinite(ms)) clock.schedule(clock.nowMs() + ms, act);
  };
  const lost = "the connection was reset";
  switch (fault.kind) {
    case "break":
      pipes.up.cut();
      pipes.down.cut();
      later(fault.edgeMs, () => link.edge.hangUp(lost));
      later(fault.cloudMs, () => link.cloud.hangUp(lost));
      break;
    case "late":
      pipes.down.cut();
      pipes.up.freeze(fault.frozenMs);
      later(fault.edgeMs, () => link.edge.hangUp(lost));
      later(fault.cloudMs, () => link.cloud.hangUp(lost));
      break;
    case "freeze":
      for (const way of fault.ways) pipes[way].freeze(fault.forMs);
      break;
    case "oneWay":
      pipes[fault.lost].cut();
      later(fault.cloudMs, () => {
        // The heartbeat's close goes the way of all that is sent.
        pipes.down.carry(0, () => link.edge.hangUp(lost));
        link.cloud.hangUp(lost);
      });
      break;
    case "hangUp":
      pipes.up.carry(0, () => link.cloud.hangUp("a proxy closed the connection"));
      pipes.down.carry(0, () => link.edge.hangUp("a proxy closed the connection"));
      break;
    default:
      fault satisfies never;
  }
}

/** Waits for the moment of a link's fate. */
export class FateWatch {
  private readonly fates: readonly Fate[];
  private readonly strike: (fault: LinkFault) => void;
  private readonly seen = new Map<string, number>();

  constructor(fates: readonly Fate[], clock: VirtualClock, strike: (fault: LinkFault) => void) {
    this.fates = fates;
    this.strike = strike;
    for (const { trigger, fault } of fates) {
      if (trigger.kind === "time") clock.schedule(clock.nowMs() + trigger.afterMs, () => strike(fault));
    }
  }

  frame(moment: "sent" | "arrived", bytes: Uint8Array): void {
    if (this.fates.length === 0) return;
    const name = frameName(bytes);
    const key = `${moment} ${name}`;
    const count = (this.seen.get(key) ?? 0) + 1;
    this.seen.set(key, count);
    for (const { trigger, fault } of this.fates) {
      if (trigger.kind !== "frame" || trigger.moment !== moment || trigger.name !== name) continue;
      if (trigger.nth === count) this.strike(fault);
    }
  }
}
