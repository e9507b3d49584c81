import type { TargetModel } from "../engine/engine.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { type FrameLink, wireLink } from "../protocol/link.ts";
import type { Transport } from "../transport/transport.ts";
import { unreachable } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import type { CloudEffect, CloudEvent, CloudLimits } from "./core/machine.ts";
import { Verifier } from "./passes/verifier.ts";
import { RequestHandler } from "./request-handler.ts";

/** What the cloud needs of the target besides its passes. */
export type TargetDescription = Omit<TargetInfo, "contextTokens" | "vocabularySize">;

export interface CloudOptions {
  /** stays the caller's to close, after the cloud */
  readonly model: TargetModel;
  readonly description: TargetDescription;
  readonly clock: Clock;
  /** name and version of this software */
  readonly server: string;
  readonly limits?: Partial<CloudLimits>;
  /** a GGUF file without tensors, for edges that have no tokenizer; null or left out: they need their own */
  readonly tokenizer?: Uint8Array | null;
  /** over the target's vocabulary; null or left out: sessions have no grammars */
  readonly grammars?: Grammars | null;
}

/**
 * Bounds that keep one cloud on its feet, whatever its edges do.
 * @example
 * import { cloudLimits, type TargetModel } from "picospec";
 *
 * export const limitsOf = (model: TargetModel) => cloudLimits(model, { sessions: 8 });
 */
export function cloudLimits(model: TargetModel, given: Partial<CloudLimits> = {}): CloudLimits {
  return {
    connections: 1024,
    sessions: 64,
    sessionsPerConnection: 32,
    silentAfterMs: 600_000,
    helloWithinMs: 15_000,
    sequences: model.sequences,
    quantumRows: 64,
    idleAfterMs: 1000,
    passTokens: model.passTokens,
    passRows: model.passRows,
    prefillTokens: Math.max(1, model.passTokens >> 1),
    ...given,
  };
}

/** Drives the cloud's state machine over transports and a target model. */
export class Cloud {
  private readonly handler: RequestHandler;
  private readonly verifier: Verifier;
  private readonly clock: Clock;
  private readonly links = new Map<number, FrameLink>();
  private readonly events: CloudEvent[] = [];
  private dispatching = false;
  private nextConnection = 1;
  private cancelWake: CancelTimer | null = null;

  constructor(options: CloudOptions) {
    const { model, description, clock } = options;
    const { contextTokens, vocabularySize } = model.info;
    const info: TargetInfo = { ...description, contextTokens, vocabularySize };
    this.clock = clock;
    this.handler = new RequestHandler(
      info,
      options.server,
      cloudLimits(model, options.limits),
      options.tokenizer ?? null,
      options.grammars ?? null,
    );
    this.verifier = new Verifier(model);
  }

  get openSessions(): number {
    return this.handler.openSessions;
  }

  get heldRows(): number {
    return this.verifier.heldRows;
  }

  /** Serves an edge; the transport is the cloud's from here on. */
  accept(transport: Transport): void {
    this.acceptLink(wireLink(transport));
  }

  /** Serves an edge over frames; the link is the cloud's from here on. */
  acceptLink(link: FrameLink): void {
    const connection = this.nextConnection++;
    this.links.set(connection, link);
    this.dispatch({ kind: "connected", connection });
    link.start({
      frame: (frame) => this.dispatch({ kind: "frame", connection, frame }),
      garbage: (error) => this.dispatch({ kind: "garbage", connection, error }),
      closed: () => {
        this.links.delete(connection);
        this.dispatch({ kind: "disconnected", connection });
      },
    });
  }

  /** Tells every edge and lets go of them. A pass that is under way still ends. */
  close(): void {
    this.dispatch({ kind: "shutdown" });
    this.cancelWake?.();
  }

  /** One event after the other: what an effect causes at once comes after the effects before it. */
  private dispatch(event: CloudEvent): void {
    this.events.push(event);
    if (this.dispatching) return;
    this.dispatching = true;
    try {
      for (let next = this.events.shift(); next; next = this.events.shift()) {
        for (const effect of this.handler.handle(next, this.clock.nowMs())) this.perform(effect);
      }
    } finally {
      this.dispatching = false;
    }
  }

  private perform(effect: CloudEffect): void {
    switch (effect.kind) {
      case "send":
        this.links.get(effect.connection)?.send(effect.frame);
        break;
      case "close":
        this.links.get(effect.connection)?.close();
        this.links.delete(effect.connection);
        break;
      case "pass":
        this.verifier.pass(effect.shares, (event) => this.dispatch(event));
        break;
      case "ask":
        this.dispatch(this.verifier.ask(effect.session, effect.question));
        break;
      case "releaseRow":
        this.verifier.release(effect.session);
        break;
      case "wake":
        this.cancelWake?.();
        this.cancelWake = this.clock.schedule(effect.atMs, () => this.dispatch({ kind: "wake" }));
        break;
      default:
        unreachable(effect);
    }
  }
}
