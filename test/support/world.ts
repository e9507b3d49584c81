import type { CloudObserver } from "../../src/cloud/core/observer.ts";
import type { CloudLimits } from "../../src/cloud/driver.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import type { Tenant } from "../../src/cloud/trust/tenant.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import type { Outcome, TokenOrigin } from "../../src/edge/core/machine.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { Drafter } from "../../src/edge/drafters/drafter.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import type { DraftModel, PassEngine } from "../../src/engine/engine.ts";
import { type HardwareProfile, pacedDrafter, pacedTarget } from "../../src/engine/paced.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import type { Grammars } from "../../src/grammar/grammar.ts";
import { decode } from "../../src/protocol/decode.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { wireLink } from "../../src/protocol/link.ts";
import { Purpose, type Seed, toSeed, uniform } from "../../src/sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../../src/sampling/sampler.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { symmetricWan, type WanProfile, wan } from "../../src/transport/wan.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";

/**
 * The real edge and cloud, engines and transports included, under virtual time: only the models are toys. A
 * schedule (delays, speeds, chunk sizes, evictions) is drawn from a seed.
 */

/** Uniform draws in [0, 1) from a seed. */
export function draws(seed: number): () => number {
  const key: Seed = toSeed(seed);
  let index = 0;
  return () => uniform(key, Purpose.draft, 0, 0, index++);
}

export interface Schedule {
  readonly network: WanProfile;
  readonly pace: HardwareProfile;
  readonly sequences: number;
  readonly feedTokens: number;
  readonly limits: Partial<CloudLimits>;
  readonly segmentTokens: number;
  readonly windowSegments: number;
  readonly truncateAfterMs: number;
}

/** A schedule without chance: a symmetric network, a target and a drafter of constant speed. */
export function steadySchedule(rttMs: number, passMs: number, draftMs: number): Schedule {
  return {
    network: symmetricWan(rttMs),
    pace: {
      passMs,
      passMsPerToken: 0,
      passFreeRows: 1,
      prefillTokensPerSecond: 1e6,
      draftMs,
      draftPrefillTokensPerSecond: 1e6,
    },
    sequences: 4,
    feedTokens: 64,
    limits: {},
    segmentTokens: 4,
    windowSegments: 2,
    truncateAfterMs: Number.POSITIVE_INFINITY,
  };
}

/** What passed over an edge's end of its link, and when. */
export interface Passed {
  readonly atMs: number;
  readonly way: "up" | "down";
  readonly frame: Frame;
}

/** Writes down what passes. */
export function tap(log: Passed[]): (transport: Transport, clock: VirtualClock) => Transport {
  return (transport, clock) => ({
    start: (handlers) =>
      transport.start({
        ...handlers,
        closed: (reason) => handlers.closed(reason),
        message: (bytes) => {
          log.push({ atMs: clock.nowMs(), way: "down", frame: decode(bytes) });
          handlers.message(bytes);
        },
      }),
    send: (bytes) => {
      log.push({ atMs: clock.nowMs(), way: "up", frame: decode(bytes) });
      transport.send(bytes);
    },
    get queuedBytes() {
      return transport.queuedBytes;
    },
    close: () => transport.close(),
  });
}

/** A schedule in which anything can be slower than anything else. */
export function randomSchedule(random: () => number): Schedule {
  const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  const link = () => ({ delayMs: pick(0, 1, 20, 100), jitterMs: pick(0, 5, 80), mbps: pick(0.5, 1000) });
  const perSecond = () => pick(100, 2000, 1e6);
  return {
    network: { up: link(), down: link() },
    pace: {
      passMs: pick(0, 3, 30, 100),
      passMsPerToken: pick(0, 2),
      passFreeRows: 1,
      prefillTokensPerSecond: perSecond(),
      draftMs: pick(0, 1, 10, 60),
      draftPrefillTokensPerSecond: perSecond(),
    },
    sequences: pick(1, 2, 3),
    feedTokens: pick(1, 3, 64),
    limits: {
      quantumRows: pick(1, 4, 16),
      idleAfterMs: pick(1, 50, 1000),
      prefillTokens: pick(1, 2, 100),
      passTokens: pick(3, 8, 64),
      passRows: pick(2, 5, 32),
    },
    segmentTokens: pick(1, 2, 4),
    windowSegments: pick(1, 2, 3),
    truncateAfterMs: pick(5, 40, Number.POSITIVE_INFINITY),
  };
}

/** The policy with the schedule's sizes, where it has any. */
export function scheduled(policy: DecodingPolicy, schedule: Schedule): DecodingPolicy {
  if (policy.segmentTokens === 0 || !policy.target) return policy;
  const { segmentTokens, truncateAfterMs } = schedule;
  const parallel = policy.windowTokens > policy.segmentTokens;
  const windowTokens = segmentTokens * (parallel ? schedule.windowSegments : 1);
  return { ...policy, segmentTokens, windowTokens, truncateAfterMs };
}

export interface WorldOptions {
  readonly language: ToyLanguage;
  readonly schedule: Schedule;
  readonly random: () => number;
  /** wraps the models, to break them or to watch them */
  readonly target?: (model: PassEngine) => PassEngine;
  readonly drafter?: (model: DraftModel) => DraftModel;
  /** wraps an edge's end of its link, outside of the emulated network */
  readonly link?: (transport: Transport, clock: VirtualClock) => Transport;
  /** of both sides */
  readonly grammars?: Grammars;
  /** of the cloud, made with the world's clock */
  readonly observer?: (clock: VirtualClock) => CloudObserver;
}

export interface Run {
  readonly prompt: Int32Array;
  readonly tokens: number[];
  readonly origins: TokenOrigin[];
  outcome: Outcome | null;
  statistics: PipelineStatistics | null;
}

interface NamedEdge {
  client: RemoteOpener | null;
  readonly waiting: ((client: RemoteOpener) => void)[];
  sessions: number;
}

export class World {
  private readonly edges = new Map<string, NamedEdge>();
  readonly clock = new VirtualClock();
  readonly cloud: Cloud;
  private readonly options: WorldOptions;

  constructor(options: WorldOptions) {
    this.options = options;
    const { language, schedule } = options;
    const { passTokens = 256 } = schedule.limits;
    const toy = new ToyPassEngine(language, this.clock, { kvSlots: schedule.sequences, passTokens });
    const paced = pacedTarget(toy, schedule.pace, this.clock);
    this.cloud = new Cloud({
      model: options.target?.(paced) ?? paced,
      description: { name: "toy", fingerprint: "toy", endTokens: [END_TOKEN], chatTemplate: null },
      clock: this.clock,
      server: "test",
      limits: schedule.limits,
      grammars: options.grammars ?? null,
      ...(options.observer ? { observer: options.observer(this.clock) } : {}),
    });
  }

  /** An edge of its own, with its own link and drafter, that generates once. */
  generate(
    policy: DecodingPolicy,
    prompt: ArrayLike<number>,
    seed: Seed,
    maxTokens: number,
    options: GenerateOptions = {},
  ): Run {
    const { schedule } = this.options;
    const { listener = {}, sampler = {}, network = schedule.network, settings: more = {} } = options;
    const run: Run = {
      prompt: Int32Array.from(prompt),
      tokens: [],
      origins: [],
      outcome: null,
      statistics: null,
    };
    const open = (client: RemoteOpener) => {
      const settings = { policy, sampler: samplerSettings(sampler), seed, maxTokens, ...more };
      const session = client.open(settings, run.prompt, {
        ...listener,
        token: (token, origin, position) => {
          run.tokens.push(token);
          run.origins.push(origin);
          listener.token?.(token, origin, position);
        },
        finished: (outcome, statistics) => {
          run.outcome = outcome;
          run.statistics = statistics;
          if (options.edge === undefined) client.close();
          listener.finished?.(outcome, statistics);
          if (options.edge !== undefined) this.leave(options.edge);
        },
      });
      const { cancelAtMs } = options;
      if (cancelAtMs !== undefined) this.clock.schedule(cancelAtMs, () => session.cancel());
    };
    const link = () => this.link(network, options.tenant);
    if (options.edge === undefined) this.connect(link, options.drafter, open);
    else this.enter(options.edge, link, options.drafter, open);
    return run;
  }

  private connect(
    link: () => Transport,
    drafter: Drafter | undefined,
    connected: (client: RemoteOpener) => void,
  ): void {
    const { language, schedule } = this.options;
    const toy = pacedDrafter(
      new ToyDraftModel(language, this.clock, schedule.feedTokens),
      schedule.pace,
      this.clock,
    );
    const own = drafter ?? new ParallelDrafter(this.options.drafter?.(toy) ?? toy);
    new RemoteOpener({
      link: wireLink(link()),
      reconnect: null,
      reconnectWithinMs: 0,
      secret: null,
      fingerprint: "toy",
      drafter: own,
      clock: this.clock,
      client: "test",
      grammars: this.options.grammars ?? null,
      ready: (error, client) => {
        if (error) throw error;
        connected(client);
      },
    });
  }

  /** One more session of a named edge, which connects for its first. */
  private enter(
    name: string,
    link: () => Transport,
    drafter: Drafter | undefined,
    open: (client: RemoteOpener) => void,
  ): void {
    const known = this.edges.get(name);
    if (known) {
      known.sessions++;
      if (known.client) open(known.client);
      else known.waiting.push(open);
      return;
    }
    const edge: NamedEdge = { client: null, waiting: [open], sessions: 1 };
    this.edges.set(name, edge);
    this.connect(link, drafter, (client) => {
      edge.client = client;
      for (const next of edge.waiting.splice(0)) next(client);
    });
  }

  private leave(name: string): void {
    const edge = this.edges.get(name)!;
    if (--edge.sessions > 0) return;
    this.edges.delete(name);
    edge.client?.close();
  }

  /** An edge's end of a link to the cloud. */
  link(profile: WanProfile, tenant: Tenant | null = null): Transport {
    const [near, far] = memoryPair(this.clock);
    this.cloud.accept(far, tenant);
    const network = wan(near, profile, this.clock, this.options.random);
    return this.options.link?.(network, this.clock) ?? network;
  }
}

export interface GenerateOptions {
  readonly settings?: Pick<SessionSettings, "grammar" | "logprobs">;
  readonly sampler?: Partial<SamplerSettings>;
  readonly listener?: Partial<SessionListener>;
  /** another than the schedule's */
  readonly network?: WanProfile;
  /** one that several runs share */
  readonly drafter?: Drafter;
  /** runs of the same name go over one link; default: each has its own */
  readonly edge?: string;
  /** whose key the link brings; default: none */
  readonly tenant?: Tenant;
  /** the user changes their mind */
  readonly cancelAtMs?: number;
}

/** The toy languages' end of text. */
export const END_TOKEN = 0;
