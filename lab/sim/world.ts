import type { CloudLimits } from "../../src/cloud/core/machine.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import type { StopRule } from "../../src/decoding/session.ts";
import type { Outcome } from "../../src/edge/core/machine.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { EdgeDriver, type SessionListener } from "../../src/edge/driver.ts";
import { EdgeClient } from "../../src/edge/opener.ts";
import type { TargetModel } from "../../src/engine/engine.ts";
import { Purpose, type Seed, toSeed, uniform } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import type { WanProfile } from "../../src/transport/wan.ts";
import { assert } from "../../src/util/assert.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import type { Scenario } from "../models/scenario.ts";
import { type AcceptanceModel, ChanceAcceptance } from "./acceptance.ts";
import { chooser, Judges, ModelledDraftModel, ModelledTarget } from "./engines.ts";
import { SimLink, type Watch } from "./link.ts";

/** Edges and clouds with their real state machines under virtual time: network and engines are modelled. */

export interface WorldOptions {
  readonly scenario: Scenario;
  /** of the network's chance; sessions bring their own */
  readonly seed: number;
  /** how acceptance comes about; chance by the scenario when it is not given */
  readonly acceptance?: (seed: Seed, coupled: boolean) => AcceptanceModel;
  readonly limits?: Partial<CloudLimits>;
  /** wraps a server's target: to watch it */
  readonly target?: (model: TargetModel) => TargetModel;
  readonly watch?: Watch;
}

/** An answer that came to its end. */
export interface Answered {
  readonly outcome: Outcome;
  readonly statistics: PipelineStatistics;
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
      const modelled = new ModelledTarget(scenario, this.clock, this.judges.judge);
      return new Cloud({
        model: options.target?.(modelled) ?? modelled,
        description: MODELLED,
        clock: this.clock,
        server: "simulated",
        limits: { connections: 1e6, sessions: 1e6, prefillTokens: 512, ...limits },
      });
    });
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

  /** The session's acceptance is no longer needed. */
  forget(seed: Seed): void {
    this.judges.forget(seed);
  }
}

/** One device: answers one prompt after the other, or many at a time. */
export class SimEdge {
  private readonly world: World;
  private readonly scenario: Scenario;
  private readonly drafter: ParallelDrafter;
  private client: EdgeClient | null = null;
  private link: SimLink | null = null;

  constructor(world: World, scenario: Scenario, drafter: ParallelDrafter) {
    this.world = world;
    this.scenario = scenario;
    this.drafter = drafter;
  }

  /** Connects; `ready` once the cloud has answered. */
  connect(ready: () => void): void {
    const { world, drafter } = this;
    this.link = world.link();
    this.client = new EdgeClient({
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
      ready: (error) => {
        if (error) throw error;
        ready();
      },
    });
    if (this.scenario.disconnectsPerHour > 0) this.planBreak();
  }

  /** One answer. @param seed its lower half tells it apart from all others of this world */
  ask(
    policy: DecodingPolicy,
    seed: Seed,
    done: (answered: Answered) => void,
    also: Partial<SessionListener> = {},
  ): void {
    const { promptTokens, answerTokens } = this.scenario;
    const settings = { policy, sampler: GREEDY, seed, maxTokens: answerTokens };
    const prompt = distinctPrompt(promptTokens, seed);
    const listener: SessionListener = {
      ...also,
      finished: (outcome, statistics) => {
        this.world.forget(seed);
        also.finished?.(outcome, statistics);
        done({ outcome, statistics });
      },
    };
    if (policy.target) {
      assert(this.client, "an edge connects first");
      this.client.open(settings, prompt, listener);
      return;
    }
    const rule: StopRule = {
      promptLength: promptTokens,
      maxTokens: answerTokens,
      contextTokens: Number.POSITIVE_INFINITY,
      endTokens: new Set(),
    };
    const { drafter } = this;
    const { clock } = this.world;
    const { vocabularySize } = drafter.reach;
    const local = {
      id: 1,
      settings,
      prompt,
      rule,
      secret: null,
      drafter,
      vocabularySize,
      clock,
      send: () => 0,
      grammars: null,
      listener,
    };
    new EdgeDriver(local).start();
  }

  close(): void {
    this.client?.close();
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
