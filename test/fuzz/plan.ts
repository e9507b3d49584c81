import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { type Seed, toSeed } from "../../src/sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../../src/sampling/sampler.ts";
import type { WanProfile } from "../../src/transport/wan.ts";
import { draws, randomSchedule, type Schedule, scheduled, steadySchedule } from "../support/world.ts";
import { drawFate, drawHush, type Fate, type Pick, picker } from "./faults.ts";
import type { LivePlan } from "./live.ts";

/** What a seed gives: who takes part in a world, what they want, and what goes wrong. Plain values. */

/** With this much patience no link that breaks ends a session. */
export const PATIENT_MS = 3_600_000;

export interface SessionPlan {
  readonly policyName: string;
  readonly policy: DecodingPolicy;
  readonly sampler: SamplerSettings;
  readonly seed: Seed;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** null: when the edge's session before it ends, from within that */
  readonly opensAtMs: number | null;
  /** the user changes their mind, at a time or from within a token's news */
  readonly cancel: { readonly atMs: number } | { readonly atToken: number } | null;
}

export interface Stall {
  readonly atMs: number;
  readonly forMs: number;
}

export interface EdgePlan {
  readonly sessions: readonly SessionPlan[];
  readonly network: WanProfile;
  /** null: a link that broke stays broken */
  readonly reconnectWithinMs: number | null;
  readonly secrets: boolean;
  readonly homeServer: number;
  /** always back to the same server */
  readonly faithful: boolean;
  readonly stalls: readonly Stall[];
  readonly drafter: {
    /** a model, prompt lookup, or both */
    readonly kind: "model" | "lookup" | "both";
    readonly contextTokens: number;
    readonly vocabularySize: number;
  };
  /** of each feed: it takes longer than it should */
  readonly drafterStalls: { readonly chance: number; readonly forMs: number };
  /** of each feed */
  readonly drafterFails: number;
  /** the device loses its power, or its user closes the program */
  readonly ends: { readonly atMs: number; readonly how: "dies" | "closes" } | null;
  /** from the end of its last session to its goodbye */
  readonly lingersMs: number;
}

export type ServerEvent =
  | { readonly kind: "crash"; readonly atMs: number; readonly silent: boolean; readonly downMs: number }
  | { readonly kind: "shutdown"; readonly atMs: number; readonly graceMs: number; readonly downMs: number }
  | { readonly kind: "stall"; readonly atMs: number; readonly forMs: number }
  /** it says goAway, takes no new connection, and shuts down when the time is over */
  | { readonly kind: "drain"; readonly atMs: number; readonly withinMs: number; readonly downMs: number };

export interface WorldPlan {
  readonly seed: number;
  readonly language: ToyLanguage;
  readonly schedule: Schedule;
  /** what happens to each server */
  readonly servers: readonly (readonly ServerEvent[])[];
  readonly edges: readonly EdgePlan[];
  /** links that are made before this meet faults */
  readonly faultsUntilMs: number;
  readonly fates: (random: () => number) => readonly Fate[];
  /** drafts and pings are said again on the same link */
  readonly repeats: number;
  /** of each pass: it fails, or a session's rows are of no use; of each question about a held row */
  readonly targetFails: { readonly pass: number; readonly row: number; readonly held: number };
  /** fewer sessions or connections than may be asked for */
  readonly tight: boolean;
  /** the servers' engines decode by themselves; default: they run passes */
  readonly live?: LivePlan;
  /** edges choose among the servers, which are replicas; default: chance does, as behind a load balancer */
  readonly replicas?: boolean;
}

/** Which kinds of harm a world has: some only links that break, some everything. */
interface Harm {
  readonly links: number;
  readonly servers: boolean;
  readonly stalls: boolean;
  readonly users: boolean;
  readonly engines: boolean;
  readonly tight: boolean;
  readonly impatient: boolean;
}

function harmOf(random: () => number, pick: Pick): Harm {
  const links = pick(0, 0.3, 0.6, 0.9);
  if (random() < 0.3) return { ...NO_HARM, links: pick(0.5, 0.9) };
  const maybe = (chance: number) => random() < chance;
  return {
    links,
    servers: maybe(0.4),
    stalls: maybe(0.4),
    users: maybe(0.3),
    engines: maybe(0.2),
    tight: maybe(0.15),
    impatient: maybe(0.15),
  };
}

const NO_HARM: Harm = {
  links: 0,
  servers: false,
  stalls: false,
  users: false,
  engines: false,
  tight: false,
  impatient: false,
};

const { picospec } = POLICIES;
const gumbel = (patienceMs: number): DecodingPolicy => ({ ...picospec, coupling: "gumbel", patienceMs });

/** Every preset that has a target, and couplings and exchanges that none has. */
const CANDIDATES: readonly (readonly [string, DecodingPolicy])[] = [
  ...Object.entries(POLICIES as Record<string, DecodingPolicy>).filter(([, policy]) => policy.target),
  ["race", POLICIES.race],
  ["gumbel, patience 0", gumbel(0)],
  ["gumbel, patience 20", gumbel(20)],
  ["gumbel, patience Infinity", gumbel(Number.POSITIVE_INFINITY)],
  ["gumbel, no preVerify", { ...gumbel(20), preVerify: false }],
  ["denseDown", { ...picospec, exchange: "denseDown" }],
  ["picospec, K = 1", { ...picospec, topK: 1 }],
  ["picospec, K = 1", { ...picospec, topK: 1 }],
  ["vanilla, K = 1", { ...POLICIES.vanilla, topK: 1 }],
];

const SAMPLERS: readonly Partial<SamplerSettings>[] = [
  { temperature: 0 },
  { temperature: 0, repetitionPenalty: 1.5, frequencyPenalty: 0.5, penaltyLastN: 8 },
  { temperature: 1 },
  { temperature: 1 },
  { temperature: 1.3, topK: 4 },
  { temperature: 0.8, topP: 0.9, minP: 0.05 },
  { repetitionPenalty: 1.4, presencePenalty: 0.3, frequencyPenalty: 0.5, penaltyLastN: 6 },
];

/** With K = 1 a draw asks for witnesses at every 20th token: the most of 10,000 languages, by exact calculation. */
const THIRSTY_LANGUAGE: ToyLanguage = {
  seed: toSeed(98),
  vocabularySize: 7,
  order: 1,
  spread: 8,
  divergence: 12,
  contextTokens: 200,
};
const THIRSTY = CANDIDATES.filter(([, { topK }]) => topK === 1);
const COUPLED = CANDIDATES.filter(([, { coupling }]) => coupling === "gumbel");
/** The cloud goes on by itself: with a drafter that does not always propose something it has to. */
const RESTLESS = CANDIDATES.filter(([, { patienceMs }]) => patienceMs < Number.POSITIVE_INFINITY);

class Planner {
  readonly random: () => number;
  readonly pick: Pick;
  private readonly schedule: Schedule;
  private readonly language: ToyLanguage;
  private readonly harm: Harm;
  private readonly seed: number;
  /** witnesses run out often */
  private readonly thirsty: boolean;
  /** answers so long that both sides stop for what the other has read */
  private readonly long: boolean;
  private sessions = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = draws(seed);
    this.pick = picker(this.random);
    this.harm = harmOf(this.random, this.pick);
    this.thirsty = this.random() < 0.2;
    this.long = !this.thirsty && this.random() < 0.02;
    const drawn = randomSchedule(this.random);
    // Fast, so that it is over in time.
    const quick = steadySchedule(30, this.pick(0, 3), this.pick(1, 10));
    this.schedule = this.long ? { ...drawn, ...quick } : drawn;
    this.language = this.drawLanguage();
  }

  world(): WorldPlan {
    const { harm, pick, random, seed, language, schedule } = this;
    const faultsUntilMs = pick(1000, 5000, 30_000);
    const serverCount = pick(1, 1, 2, 3);
    const edges = Array.from({ length: pick(1, 2, 3) }, () => this.edge(serverCount, faultsUntilMs));
    const limits = {
      ...(harm.tight ? { sessions: pick(1, 2, 3), connections: pick(2, 4), sessionsPerConnection: 2 } : {}),
      ...(harm.tight && random() < 0.5 ? { silentAfterMs: 8000 } : {}),
    };
    return {
      seed,
      language,
      schedule: { ...schedule, limits: { ...schedule.limits, ...limits } },
      servers: Array.from({ length: serverCount }, () => this.server(faultsUntilMs)),
      edges,
      faultsUntilMs,
      fates: (chance) => {
        if (this.long) return [drawHush(chance)];
        const count = chance() < harm.links ? (chance() < 0.3 ? 2 : 1) : 0;
        return Array.from({ length: count }, () => drawFate(chance, this.thirsty));
      },
      repeats: random() < 0.25 ? 0.3 : 0,
      targetFails: harm.engines
        ? { pass: pick(0, 0.02), row: pick(0, 0.02), held: pick(0, 0.05) }
        : { pass: 0, row: 0, held: 0 },
      tight: harm.tight,
    };
  }

  private drawLanguage(): ToyLanguage {
    const { pick, seed } = this;
    if (this.thirsty) return THIRSTY_LANGUAGE;
    if (this.long) return { ...THIRSTY_LANGUAGE, seed: toSeed(seed), contextTokens: 1000 };
    return {
      seed: toSeed(seed),
      vocabularySize: pick(6, 12, 24),
      order: pick(2, Number.POSITIVE_INFINITY),
      spread: pick(3, 6, 8),
      divergence: pick(0, 2, 3, 6, 20),
      contextTokens: pick(16, 40, 200),
    };
  }

  private edge(servers: number, faultsUntilMs: number): EdgePlan {
    const { harm, pick, random, language } = this;
    const time = () => faultsUntilMs * random();
    const lesser = random() < 0.2;
    const impatient = harm.impatient && random() < 0.7;
    const count = this.long ? 1 : pick(1, 2, 3);
    const kind = this.thirsty ? "model" : pick("model", "model", "model", "both", "lookup");
    const { contextTokens, vocabularySize } = language;
    return {
      sessions: Array.from({ length: count }, (_, i) => this.session(i, kind, time)),
      network: this.long ? this.schedule.network : randomSchedule(random).network,
      reconnectWithinMs: impatient ? pick(null, 500, 5000) : PATIENT_MS,
      secrets: !(harm.impatient && random() < 0.3),
      homeServer: Math.floor(random() * servers),
      faithful: random() < 0.5,
      stalls: harm.stalls ? this.some(2, () => ({ atMs: time(), forMs: pick(50, 1000, 25_000) })) : [],
      drafter: lesser
        ? {
            kind,
            contextTokens: Math.min(contextTokens, pick(6, 12, 20)),
            vocabularySize: vocabularySize - pick(0, 0, 2),
          }
        : { kind, contextTokens, vocabularySize },
      drafterStalls: harm.stalls ? { chance: pick(0, 0.1), forMs: pick(300, 4000) } : { chance: 0, forMs: 0 },
      drafterFails: harm.engines ? pick(0, 0.03) : 0,
      ends: harm.users && random() < 0.2 ? { atMs: time(), how: pick("dies", "closes") } : null,
      lingersMs: pick(0, 0, 300, 8000),
    };
  }

  private session(index: number, kind: EdgePlan["drafter"]["kind"], time: () => number): SessionPlan {
    const { harm, pick, random, language } = this;
    const { thirsty, long, schedule } = this;
    const [policyName, preset] = pick(
      ...(thirsty ? THIRSTY : kind === "lookup" ? RESTLESS : long ? COUPLED : CANDIDATES),
    );
    const policy = random() < 0.8 ? scheduled(preset, schedule) : preset;
    const maxTokens = 1 + Math.floor(24 * random()) + (long ? 500 : 0);
    const bias: [number, number][] = long || random() < 0.5 ? [[0, -1000]] : [];
    const cancels = harm.users && random() < 0.4;
    return {
      policyName,
      policy: {
        ...policy,
        topK: policy.exchange === "sparse" ? pick(policy.topK, 1, 2) : policy.topK,
        adaptive: random() < 0.5 ? !policy.adaptive : policy.adaptive,
      },
      sampler: samplerSettings({ ...(thirsty ? {} : pick(...SAMPLERS)), logitBias: bias }),
      seed: toSeed(this.seed * 64 + this.sessions++),
      prompt: Array.from({ length: pick(1, 3, 9) }, () => {
        return 1 + Math.floor(random() * (language.vocabularySize - 1));
      }),
      maxTokens,
      opensAtMs: index > 0 && random() < 0.3 ? null : random() < 0.7 ? 300 * random() : time(),
      cancel: !cancels
        ? null
        : random() < 0.5
          ? { atMs: 3000 * random() }
          : { atToken: Math.floor(maxTokens * random()) },
    };
  }

  private server(faultsUntilMs: number): ServerEvent[] {
    const { harm, pick, random } = this;
    const time = () => faultsUntilMs * random();
    const crash = (): ServerEvent => ({
      kind: "crash",
      atMs: time(),
      silent: random() < 0.3,
      downMs: pick(0, 300, 5000),
    });
    const shutdown = (): ServerEvent => ({
      kind: "shutdown",
      atMs: time(),
      graceMs: pick(0, 200, 2000),
      downMs: pick(0, 300, 5000),
    });
    const stall = (): ServerEvent => ({ kind: "stall", atMs: time(), forMs: pick(50, 1000, 25_000) });
    const troubles = harm.servers ? this.some(2, () => pick(crash, crash, shutdown)()) : [];
    const stalls = harm.stalls ? this.some(2, stall) : [];
    // One trouble at a time: a server that is down cannot crash.
    return [...troubles, ...stalls].sort((a, b) => a.atMs - b.atMs);
  }

  private some<T>(most: number, one: () => T): T[] {
    return Array.from({ length: Math.floor(this.random() * (most + 1)) }, one);
  }
}

export function planOf(seed: number): WorldPlan {
  return new Planner(seed).world();
}
