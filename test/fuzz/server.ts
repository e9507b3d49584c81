import { Cloud } from "../../src/cloud/driver.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import type { LiveEngine } from "../../src/engine/live-engine.ts";
import { pacedTarget } from "../../src/engine/paced.ts";
import { ToyLiveEngine } from "../../src/engine/toy/live-engine.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { encode } from "../../src/protocol/encode.ts";
import { END_TOKEN } from "../support/world.ts";
import { failingTarget } from "./engines.ts";
import type { FaultyLink } from "./link.ts";
import { type LivePlan, watchedLive } from "./live.ts";
import { Process } from "./process.ts";
import { checkClosed } from "./rest.ts";
import type { FuzzWorld } from "./world.ts";

/** One life of a server: when it dies, its sessions, its memory and its links are gone. */
export interface Life {
  readonly process: Process;
  /** its target, where that runs passes; null: it decodes by itself */
  readonly toy: ToyPassEngine | null;
  readonly cloud: Cloud;
  /** by the cloud's number of the connection */
  readonly links: Map<number, FaultyLink>;
}

/** A cloud at an address, with the target model behind it. */
export class FuzzServer {
  readonly name: string;
  /** null while it is down */
  life: Life | null = null;
  /** it takes no new connection */
  draining = false;
  private readonly world: FuzzWorld;

  constructor(world: FuzzWorld, name: string) {
    this.world = world;
    this.name = name;
    this.start();
  }

  accept(life: Life, link: FaultyLink): void {
    life.process.run(() => {
      life.links.set(life.cloud.accept(link.cloud), link);
    });
  }

  stall(forMs: number): void {
    this.world.note(() => `${this.name} stalls for ${forMs} ms`);
    this.life?.process.stall(forMs);
  }

  /** @param silent the machine is gone: nobody closes its connections */
  crash(silent: boolean, downMs: number): void {
    const { life, world } = this;
    if (!life) return;
    world.note(() => `${this.name} crashes${silent ? " without a word" : ""}, for ${downMs} ms`);
    this.die(life, silent);
    world.later(downMs, () => this.start());
  }

  shutDown(graceMs: number, downMs: number): void {
    const { life, world } = this;
    if (!life) return;
    world.note(() => `${this.name} shuts down, for ${downMs} ms`);
    let closed = false;
    life.process.run(() => {
      life.cloud.close();
      closed = true;
    });
    world.later(graceMs, () => {
      if (this.life !== life) return;
      if (closed && world.judges) checkClosed(this.name, life);
      this.die(life, false);
      world.later(downMs, () => this.start());
    });
  }

  /** As an operator does before a restart. */
  drain(withinMs: number, downMs: number): void {
    const { life, world } = this;
    if (!life || this.draining) return;
    world.note(() => `${this.name} is drained within ${withinMs} ms`);
    this.draining = true;
    life.process.run(() => {
      for (const { cloud } of life.links.values()) cloud.send(encode({ type: "goAway", withinMs }));
    });
    world.later(withinMs, () => {
      this.draining = false;
      if (this.life === life) this.shutDown(0, downMs);
    });
  }

  private die(life: Life, silent: boolean): void {
    life.process.kill();
    this.life = null;
    for (const link of life.links.values()) {
      link.pipes.up.cut();
      if (silent) link.pipes.down.cut();
      // What the machine had sent arrives before the news that nobody is there any more.
      else link.pipes.down.carry(0, () => link.edge.hangUp("the server is gone"));
    }
  }

  private start(): void {
    const { world } = this;
    const { schedule } = world.plan;
    const process: Process = new Process(world.clock, () => world.touched.add(this));
    const { toy, model } = world.plan.live ? this.liveTarget(world.plan.live, process) : this.target(process);
    const cloud = new Cloud({
      model,
      description: { name: "toy", fingerprint: "toy", endTokens: [END_TOKEN], chatTemplate: null },
      clock: process,
      server: "fuzz",
      limits: schedule.limits,
    });
    this.life = { process, toy, cloud, links: new Map() };
    world.note(() => `${this.name} is up`);
  }

  /** An engine that runs passes, and fails as planned. */
  private target(process: Process): { toy: ToyPassEngine; model: PassEngine } {
    const { world } = this;
    const { language, schedule, targetFails } = world.plan;
    const { passTokens = 256, passRows = 64 } = schedule.limits;
    const { sequences } = schedule;
    const toy = new ToyPassEngine(language, process, { kvSlots: sequences, passTokens, passRows });
    const failing = failingTarget(toy, targetFails, world.random, (sequence) => {
      const run = world.runWith(this, sequence);
      return (code) => {
        world.count(`failure ${code}`);
        run?.mayFail(code);
      };
    });
    return { toy, model: pacedTarget(failing, schedule.pace, process) };
  }

  /** An engine that decodes by itself, and fails as planned. */
  private liveTarget(plan: LivePlan, process: Process): { toy: null; model: LiveEngine } {
    const { world } = this;
    const { draftTokens, ...options } = plan;
    const { random } = world;
    const capabilities = { draftTokens };
    const engine = new ToyLiveEngine(world.plan.language, process, { ...options, random, capabilities });
    const model = watchedLive(engine, ({ tokens, rule }) => {
      world.count("failure internal");
      const prompt = tokens.slice(0, rule.promptLength).join();
      // Sessions with the same prompt cannot be told apart here: each may end.
      for (const run of world.runs) if (run.plan.prompt.join() === prompt) run.mayFail("internal");
    });
    return { toy: null, model };
  }
}
