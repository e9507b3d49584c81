import type { CloudLimits } from "../../src/cloud/driver.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import { LocalOpener } from "../../src/edge/local-opener.ts";
import { type OpenedSession, type Opener, RemoteOpener } from "../../src/edge/opener.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import type { LiveEngine } from "../../src/engine/live-engine.ts";
import { Purpose, type Seed, toSeed, uniform } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import type { WanProfile } from "../../src/transport/wan.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import type { Scenario } from "../models/scenario.ts";
import { type AcceptanceModel, ChanceAcceptance } from "./acceptance.ts";
import { chooser, Judges, ModelledDraftModel, ModelledTarget } from "./engines.ts";
import { SimLink, type Watch } from "./link.ts";
import { ModelledLiveEngine } from "./live-engine.ts";

/** Edges and clouds with their real state machines under virtual time: network and engines are modelled. */

export interface WorldOptions {
  readonly scenario: Scenario;
  /** of the network's chance; sessions bring their own */
  readonly seed: number;
  /** how acceptance comes about; chance by the scenario when it is not given */
  readonly acceptance?: (seed: Seed, coupled: boolean) => AcceptanceModel;
  readonly limits?: Partial<CloudLimits>;
  /** wraps a server's target: to watch it */
  readonly target?: (model: PassEngine) => PassEngine;
  readonly watch?: Watch;
  /** the servers' engines decode by themselves; default: they run passes */
  readonly live?: boolean;
}

const MODELLED = { name: "modelled", fingerprint: "modelled", endTokens: [], chatTemplate: null };
const GREEDY = samplerSettings({ temperature: 0 });

export class World {
  readonly clock = new VirtualClock();
  readonly clouds: Cloud[];
  private readonly options: WorldOptions;
  private readonly judges: Judges;
  private readonly network: WanProfile;
  private readonly chance: Seed;
  private draws = 0;

  constructor(options: WorldOptions) {
    const { scenario, limits = {} } = options;
    this.options = options;
    this.chance = toSeed(options.seed);
    this.network = networkOf(scenario);
    const byChance = (seed: Seed, coupled: boolean) => {
      const acceptance = coupled ? scenario.acceptanceCoupled : scenario.acceptance;
      return new ChanceAcceptance(seed, acceptance, scenario.acceptanceMemory);
    };
    this.judges = new Judges(scenario.promptTokens, options.acceptance ?? byChance);
    this.clouds = Array.from({ length: scenario.servers }, () => {
      return new Cloud({
        model: this.target(),
        description: MODELLED,
        clock: this.clock,
        server: "simulated",
        limits: { connections: 1e6, sessions: 1e6, prefillTokens: 512, ...limits },
      });
    });
  }

  private target(): PassEngine | LiveEngine {
    const { scenario, live, target } = this.options;
    if (live) return new ModelledLiveEngine(scenario, this.clock);
    const modelled = new ModelledTarget(scenario, this.clock, this.judges.judge);
    return target?.(modelled) ?? modelled;
  }

  /** Uniform draws in [0, 1), the same for the same seed. */
  readonly random = (): number => {
    return uniform(this.chance, Purpose.draft, 0, 0, this.draws++);
  };

  /** An edge with a link and a drafter of its own. */
  edge(): SimEdge {
    const { scenario } = this.options;
    const drafter = new ParallelDrafter(
      new ModelledDraftModel(scenario, this.clock),
      chooser(this.judges.judge),
    );
    return new SimEdge(this, scenario, drafter);
  }

  /** A link to one of the clouds. */
  link(): SimLink {
    const { scenario, watch } = this.options;
    const { clock, random, network: profile } = this;
    const { vocabularySize } = scenario;
    const link = new SimLink({ profile, clock, random, vocabularySize, ...(watch ? { watch } : {}) });
    const index = this.clouds.length === 1 ? 0 : Math.floor(this.random() * this.clouds.length);
    this.clouds[index]!.acceptLink(link.cloud);
    return link;
  }

  /** Opens the session of one answer. @param seed its lower half tells it apart from all others of this world */
  open(opener: Opener, policy: DecodingPolicy, seed: Seed, listener: SessionListener): OpenedSession {
    const { promptTokens, answerTokens } = this.options.scenario;
    const settings = { policy, sampler: GREEDY, seed, maxTokens: answerTokens };
    return opener.open(settings, distinctPrompt(promptTokens, seed), {
      ...listener,
      finished: (outcome, statistics) => {
        this.judges.forget(seed);
        listener.finished(outcome, statistics);
      },
    });
  }
}

/** One device: a drafter, and a link to a cloud where its policy takes one. */
export class SimEdge {
  private readonly world: World;
  private readonly scenario: Scenario;
  private readonly drafter: ParallelDrafter;
  private opener: Opener | null = null;
  private link: SimLink | null = null;

  constructor(world: World, scenario: Scenario, drafter: ParallelDrafter) {
    this.world = world;
    this.scenario = scenario;
    this.drafter = drafter;
  }

  /** Gives the opener for a policy, once the cloud has answered where there is one. */
  start({ target }: DecodingPolicy, ready: (opener: Opener) => void): void {
    if (target) this.connect(ready);
    else {
      const { drafter, world } = this;
      const { name, endTokens, chatTemplate } = MODELLED;
      const { clock } = world;
      this.opener = new LocalOpener({ drafter, name, endTokens, chatTemplate, grammars: null, clock });
      ready(this.opener);
    }
  }

  close(): void {
    this.opener?.close();
  }

  private connect(ready: (opener: Opener) => void): void {
    const { world, drafter } = this;
    this.link = world.link();
    this.opener = new RemoteOpener({
      link: this.link.edge,
      reconnect: (done) => {
        world.clock.schedule(world.clock.nowMs() + this.scenario.reconnectMs, () => {
          this.link = world.link();
          done(null, this.link.edge);
        });
      },
      reconnectWithinMs: 600_000,
      secret: () => `simulated-secret-${world.random()}`,
      fingerprint: MODELLED.fingerprint,
      drafter,
      clock: world.clock,
      client: "simulated",
      ready: (error, opener) => {
        if (error) throw error;
        ready(opener);
      },
    });
    if (this.scenario.disconnectsPerHour > 0) this.planBreak();
  }

  private planBreak(): void {
    const { world, scenario } = this;
    const waitMs = (-Math.log(1 - world.random()) * 3_600_000) / scenario.disconnectsPerHour;
    world.clock.schedule(world.clock.nowMs() + waitMs, () => {
      this.link?.break(0, scenario.rttMs);
      this.planBreak();
    });
  }
}

/** No two sessions share a prefix: else a KV would hold what a new prompt has to feed. */
function distinctPrompt(tokens: number, seed: Seed): Int32Array {
  return Int32Array.from({ length: tokens }, (_, i) => (i < 11 ? (seed.low >>> (3 * i)) & 7 : 0));
}

function networkOf(scenario: Scenario): WanProfile {
  const { rttMs, upShare, jitterMs, upMbps, downMbps, loss, lossDelayMs } = scenario;
  const line = (delayMs: number, mbps: number | null) => {
    return { delayMs, jitterMs, mbps: mbps ?? Number.POSITIVE_INFINITY, loss, lossDelayMs };
  };
  return { up: line(rttMs * upShare, upMbps), down: line(rttMs * (1 - upShare), downMbps) };
}
