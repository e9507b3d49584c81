import { FrameType } from "../../src/protocol/frame.ts";
import type { Transport, TransportHandlers } from "../../src/transport/transport.ts";
import { DelayLine, type LinkProfile, type WanProfile } from "../../src/transport/wan.ts";
import type { VirtualClock } from "../../src/util/virtual-clock.ts";
import { Gate, type Process } from "./process.ts";

/** A TCP connection that can go wrong in every way in which one can: what arrives is in order, or does not. */

export type Way = "up" | "down";
export type FrameName = keyof typeof FrameType;

const NAMES = new Map(Object.entries(FrameType).map(([name, type]) => [type, name as FrameName]));

export function frameName(bytes: Uint8Array): FrameName {
  return NAMES.get(bytes[0] as (typeof FrameType)[FrameName])!;
}

/** One direction: the emulated network, and then what befalls it. */
class Pipe {
  queuedBytes = 0;
  private readonly line: DelayLine;
  private readonly gate: Gate;
  private broken = false;

  constructor(profile: LinkProfile, clock: VirtualClock, random: () => number) {
    this.line = new DelayLine(profile, clock, random);
    this.gate = new Gate(clock);
  }

  carry(bytes: number, arrive: () => void): void {
    if (this.broken) return;
    this.queuedBytes += bytes;
    this.line.carry(bytes, () =>
      this.gate.pass(() => {
        this.queuedBytes -= bytes;
        if (!this.broken) arrive();
      }),
    );
  }

  /** What is on its way is lost, and so is what follows. */
  cut(): void {
    this.broken = true;
  }

  /** As when a network is away for a while: everything arrives later, in order. */
  freeze(forMs: number): void {
    this.gate.shut(forMs);
  }
}

/** What a link tells of itself. */
export interface LinkWatch {
  sent(way: Way, bytes: Uint8Array): void;
  /** the receiver takes it now */
  arrived(way: Way, bytes: Uint8Array): void;
}

class LinkEnd implements Transport {
  peer!: LinkEnd;
  private readonly way: Way;
  private readonly pipe: Pipe;
  private readonly process: Process | null;
  private readonly watch: LinkWatch;
  private readonly early: Uint8Array[] = [];
  private handlers: TransportHandlers | null = null;
  private open = true;

  /** @param process that this end belongs to; null: no process */
  constructor(way: Way, pipe: Pipe, process: Process | null, watch: LinkWatch) {
    this.way = way;
    this.pipe = pipe;
    this.process = process;
    this.watch = watch;
  }

  get isOpen(): boolean {
    return this.open;
  }

  get queuedBytes(): number {
    return this.pipe.queuedBytes;
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    for (const bytes of this.early.splice(0)) handlers.message(bytes);
  }

  send(bytes: Uint8Array): void {
    if (!this.open) return;
    this.carry(bytes);
    this.watch.sent(this.way, bytes);
  }

  carry(bytes: Uint8Array): void {
    this.pipe.carry(bytes.length, () => this.peer.receive(bytes));
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.pipe.carry(0, () => this.peer.hangUp("the other side closed the connection"));
  }

  /** Its owner is told that the connection is gone. */
  hangUp(reason: string): void {
    this.process?.run(() => {
      if (!this.open) return;
      this.open = false;
      this.handlers?.closed(reason);
    });
  }

  private receive(bytes: Uint8Array): void {
    this.process?.run(() => {
      if (!this.open) return;
      this.watch.arrived(this.peer.way, bytes);
      if (this.handlers) this.handlers.message(bytes);
      else this.early.push(bytes);
    });
  }
}

export interface LinkOptions {
  readonly number: number;
  readonly profile: WanProfile;
  readonly clock: VirtualClock;
  readonly random: () => number;
  readonly edge: Process;
  /** null: the connection leads nowhere */
  readonly cloud: Process | null;
  readonly watch: LinkWatch;
}

export class FaultyLink {
  readonly number: number;
  readonly edge: LinkEnd;
  readonly cloud: LinkEnd;
  readonly pipes: Readonly<Record<Way, Pipe>>;

  constructor({ number, profile, clock, random, edge, cloud, watch }: LinkOptions) {
    this.number = number;
    this.pipes = { up: new Pipe(profile.up, clock, random), down: new Pipe(profile.down, clock, random) };
    this.edge = new LinkEnd("up", this.pipes.up, edge, watch);
    this.cloud = new LinkEnd("down", this.pipes.down, cloud, watch);
    this.edge.peer = this.cloud;
    this.cloud.peer = this.edge;
    if (!cloud) this.pipes.up.cut();
  }
}
