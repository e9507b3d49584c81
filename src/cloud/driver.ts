import type { PassEngine } from "../engine/engine.ts";
import type { LiveEngine } from "../engine/live-engine.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Frame, SentVocabulary, TargetInfo, VocabularyPart } from "../protocol/frame.ts";
import { type FrameLink, wireLink } from "../protocol/link.ts";
import type { Transport } from "../transport/transport.ts";
import { assert, unreachable } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { type Driver, drive } from "../util/driver.ts";
import { guarded } from "../util/last-resort.ts";
import type {
  CloudEffect,
  CloudEvent,
  CloudSession,
  EngineKind,
  Performer,
  SessionView,
} from "./core/machine.ts";
import type { CloudObserver } from "./core/observer.ts";
import type { RegistryLimits } from "./core/registry.ts";
import { type HandlerOptions, RequestHandler } from "./core/request-handler.ts";
import { liveKind } from "./live/kind.ts";
import { passKind } from "./passes/kind.ts";
import type { KvCacheLimits, PassLimits } from "./passes/machine.ts";
import { PassWatch } from "./passes/pass-watch.ts";
import type { Tenant } from "./trust/tenant.ts";

/** What the cloud needs of the target besides its passes. */
export type TargetDescription = Omit<
  TargetInfo,
  "contextTokens" | "vocabularySize" | "identity" | "vocabulary"
>;

/** The target's vocabulary, for edges that ask for it. */
export interface GivenVocabulary {
  readonly about: SentVocabulary;
  /** One chunk as it travels, of those that there are; made when it is first asked for. */
  chunk(part: VocabularyPart, chunk: number): Promise<Uint8Array>;
}

/** Bounds that keep one cloud on its feet, whatever its edges do. */
export interface CloudLimits extends RegistryLimits, PassLimits, KvCacheLimits {}

export interface CloudOptions {
  /** stays the caller's to close, after the cloud */
  readonly model: PassEngine | LiveEngine;
  readonly description: TargetDescription;
  readonly clock: Clock;
  /** name and version of this software */
  readonly server: string;
  readonly limits?: Partial<CloudLimits>;
  /** a GGUF file without tensors, for edges that have no tokenizer; default null: they need their own */
  readonly tokenizer?: Uint8Array | null;
  /** the same in chunks, with what pairs are judged by; default null: edges need the target's own tokenizer */
  readonly vocabulary?: GivenVocabulary | null;
  /** over the target's vocabulary; default null: sessions have no grammars */
  readonly grammars?: Grammars | null;
  /**
   * The last resort: a fault of ours has thrown. Where it came by an edge's frame its connection ends with `internal`, and
   * all others go on. Default: the fault is thrown to whoever brought the event, as tests want it
   */
  readonly failed?: (error: unknown) => void;
  /** counts, logs or traces what the cloud does; default: nothing does */
  readonly observer?: CloudObserver;
}

const REGISTRY_LIMITS: RegistryLimits = {
  connections: 1024,
  sessions: 64,
  sessionsPerConnection: 32,
  silentAfterMs: 600_000,
  helloWithinMs: 15_000,
};

/**
 * Bounds that keep one cloud on its feet, whatever its edges do.
 * @example
 * import { cloudLimits, type PassEngine } from "picospec";
 *
 * export const limitsOf = (model: PassEngine) => cloudLimits(model, { sessions: 8 });
 */
export function cloudLimits(model: PassEngine, given: Partial<CloudLimits> = {}): CloudLimits {
  return {
    ...REGISTRY_LIMITS,
    kvSlots: model.kvSlots,
    quantumRows: 64,
    idleAfterMs: 1000,
    passTokens: model.passTokens,
    passRows: model.passRows,
    prefillTokens: Math.max(1, model.passTokens >> 1),
    wholeOnly: model.capabilities.rollback === "afterPass",
    ...given,
  };
}

function isLive(engine: PassEngine | LiveEngine): engine is LiveEngine {
  return "open" in engine;
}

/** Drives the cloud's state machine over transports and an engine. */
export class Cloud {
  private readonly core: Core;
  private readonly clock: Clock;
  private readonly failed: ((error: unknown) => void) | null;
  private readonly observer: CloudObserver | null;
  private readonly vocabulary: GivenVocabulary | null;
  private readonly links = new Map<number, FrameLink>();
  private nextConnection = 1;
  private cancelWake: CancelTimer | null = null;
  /** called when a drain is over */
  private drained: (() => void) | null = null;

  constructor(options: CloudOptions) {
    const { model, description, clock, server, tokenizer = null, grammars = null } = options;
    const { info, capabilities } = model;
    const { contextTokens, vocabularySize, identity } = info;
    const vocabulary = options.vocabulary?.about;
    const target: TargetInfo = { ...description, contextTokens, vocabularySize, identity, vocabulary };
    const limits = { ...REGISTRY_LIMITS, ...options.limits };
    this.clock = clock;
    this.failed = options.failed ?? null;
    this.vocabulary = options.vocabulary ?? null;
    this.observer = options.observer ?? null;
    const watch = options.observer ? new PassWatch(options.observer, clock) : null;
    const handler = { target, server, limits, capabilities, tokenizer, grammars };
    const perform = (effect: CloudEffect<never>) => this.perform(effect);
    const guard = (act: () => void) => this.guarded(null, act);
    if (isLive(model)) {
      const { runs } = model;
      const { draftTokens } = capabilities;
      this.core = assemble(liveKind(model, { runs, draftTokens }), handler, clock, perform, guard);
    } else {
      this.core = assemble(
        passKind(model, cloudLimits(model, options.limits), watch),
        handler,
        clock,
        perform,
        guard,
      );
    }
  }

  get openSessions(): number {
    return this.core.handler.openSessions;
  }

  /** Edges that are connected, or about to say hello. */
  get connections(): number {
    return this.core.handler.connections;
  }

  /** Every open session, and those that have ended and wait for the engine. */
  sessions(): SessionView[] {
    return this.core.handler.views();
  }

  /**
   * Serves an edge; the transport is the cloud's from here on.
   * @param tenant whose key it brought; null: the connection is its own principal
   * @returns the number of the connection
   */
  accept(transport: Transport, tenant: Tenant | null = null): number {
    return this.acceptLink(wireLink(transport), tenant);
  }

  /** Serves an edge over frames; the link is the cloud's from here on. @returns the number of the connection */
  acceptLink(link: FrameLink, tenant: Tenant | null = null): number {
    const connection = this.nextConnection++;
    const { driver } = this.core;
    this.links.set(connection, link);
    this.observer?.connected?.(connection);
    driver.dispatch({ kind: "connected", connection, tenant });
    link.start({
      frame: (frame, payloadBytes) =>
        this.guarded(connection, () => {
          this.observer?.received?.(connection, frame, payloadBytes);
          driver.dispatch({ kind: "frame", connection, frame });
        }),
      garbage: (error) => driver.dispatch({ kind: "garbage", connection, error }),
      closed: () => {
        this.links.delete(connection);
        driver.dispatch({ kind: "disconnected", connection });
        this.observer?.disconnected?.(connection);
      },
    });
    return connection;
  }

  /** The keys have changed: connections of revoked ones end, limits hold from here on. @param tenants by name */
  useTenants(tenants: ReadonlyMap<string, Tenant>): void {
    this.core.driver.dispatch({ kind: "tenants", tenants });
  }

  /**
   * Begins no further sessions and tells edges to ask elsewhere. Open sessions go on.
   * @param withinMs when the caller is going to close it
   * @param drained called once, when no session is open any more
   */
  drain(withinMs: number, drained: () => void): void {
    this.drained = drained;
    this.core.driver.dispatch({ kind: "drain", withinMs });
  }

  /** Tells every edge and lets go of them. A pass that is under way still ends. */
  close(): void {
    this.core.driver.dispatch({ kind: "shutdown" });
    this.cancelWake?.();
  }

  /**
   * Looks over everything that it owns, between two events.
   * @param left every edge has gone: then nothing may be left but a pass that is under way
   * @throws AssertionError on a broken invariant or a leak
   */
  checkIntegrity(left = false): void {
    const { driver, handler, performer } = this.core;
    driver.checkIntegrity();
    handler.checkIntegrity(left && !performer.busy);
    performer.checkIntegrity();
    assert(this.links.size === handler.connections, `${this.links.size} links are open`);
  }

  /** @param connection that brought the event; null: the clock or the engine did */
  private guarded(connection: number | null, act: () => void): void {
    guarded(this.failed, act, () => {
      if (connection === null || !this.links.has(connection)) return;
      const told = new ProtocolError("internal", "the cloud has failed over this connection; connect again");
      this.core.driver.dispatch({ kind: "garbage", connection, error: told });
    });
  }

  private send(connection: number, frame: Frame): void {
    const link = this.links.get(connection);
    if (frame.type === "welcome") link?.greeted?.();
    const bytes = link?.send(frame);
    if (bytes !== undefined) this.observer?.sent?.(connection, frame, bytes);
  }

  private sendChunk({ connection, part, chunk }: Extract<CloudEffect<never>, { kind: "vocabulary" }>): void {
    assert(this.vocabulary, "what is not there is refused");
    this.vocabulary.chunk(part, chunk).then(
      (bytes) =>
        this.guarded(connection, () => this.send(connection, { type: "vocabulary", part, chunk, bytes })),
      (error: unknown) =>
        this.guarded(connection, () => {
          throw error;
        }),
    );
  }

  private perform(effect: CloudEffect<never>): void {
    switch (effect.kind) {
      case "send":
        this.send(effect.connection, effect.frame);
        break;
      case "vocabulary":
        this.sendChunk(effect);
        break;
      case "close":
        this.links.get(effect.connection)?.close();
        if (this.links.delete(effect.connection)) this.observer?.disconnected?.(effect.connection);
        break;
      case "opened":
        this.observer?.opened?.(effect.session);
        break;
      case "ended":
        this.observer?.ended?.(effect.session);
        break;
      case "wake":
        this.cancelWake?.();
        this.cancelWake = this.clock.schedule(effect.atMs, () =>
          this.guarded(null, () => this.core.driver.dispatch({ kind: "wake" })),
        );
        break;
      case "drained":
        this.drained?.();
        break;
      case "engine":
        unreachable(effect.effect);
        break;
      default:
        unreachable(effect);
    }
  }
}

/** The machine and what performs its effects, whatever the kind of engine. */
interface Core {
  readonly driver: Driver<CloudEvent<never>>;
  readonly handler: {
    readonly openSessions: number;
    readonly connections: number;
    views(): SessionView[];
    checkIntegrity(atRest: boolean): void;
  };
  readonly performer: Pick<Performer<never>, "busy" | "checkIntegrity">;
}

/** @param perform effects that are not the engine's @param guard calls what may throw by a fault of ours */
function assemble<Session extends CloudSession<Effect>, Event, Effect>(
  kind: EngineKind<Session, Event, Effect>,
  options: HandlerOptions,
  clock: Clock,
  perform: (effect: CloudEffect<never>) => void,
  guard: (act: () => void) => void,
): Core {
  const handler = new RequestHandler<Session, Event, Effect>(options, (registry) => kind.sessions(registry));
  const driver = drive(handler, clock, (effect) => {
    if (effect.kind === "engine") performer.perform(effect.effect);
    else perform(effect);
  });
  const performer = kind.performer((event) => guard(() => driver.dispatch({ kind: "engine", event })));
  return { driver, handler, performer };
}
