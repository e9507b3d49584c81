import { Cloud } from "../../src/cloud/driver.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import type { DraftModel } from "../../src/engine/engine.ts";
import type { TokenLogprobs } from "../../src/sampling/question.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { type Adapter, type Engine, expectThat } from "./adapter.ts";
import { type Seen, watched } from "./watch.ts";

/** What came of a session. */
export interface Outcome {
  readonly tokens: number[];
  readonly logprobs: TokenLogprobs[];
  /** `done` or the code of the error; null: it goes on */
  ended: string | null;
  message: string;
  accepted: number;
  rejected: number;
  /** passes or steps that it took */
  steps: number;
  cancel(): void;
}

/** A cloud over an adapter's engine, and an edge that drafts for it, in one process. */
export class Stage {
  readonly seen: Seen;
  private readonly adapter: Adapter;
  private readonly engine: Engine;
  private readonly drafter: DraftModel;
  private readonly cloud: Cloud;
  private readonly opener: RemoteOpener;

  private constructor(parts: {
    readonly adapter: Adapter;
    readonly engine: Engine;
    readonly drafter: DraftModel;
    readonly cloud: Cloud;
    readonly opener: RemoteOpener;
    readonly seen: Seen;
  }) {
    this.adapter = parts.adapter;
    this.engine = parts.engine;
    this.drafter = parts.drafter;
    this.cloud = parts.cloud;
    this.opener = parts.opener;
    this.seen = parts.seen;
  }

  /** @param change of the engine, and of the drafter, before they are used */
  static async open(
    adapter: Adapter,
    change: {
      readonly engine?: (engine: Engine) => Engine;
      readonly drafter?: (drafter: DraftModel) => DraftModel;
    } = {},
  ): Promise<Stage> {
    const { clock, endTokens } = adapter;
    const engine = await adapter.target();
    const drafter = await adapter.drafter();
    const seen: Seen = { steps: 0, mostAtOnce: 0, drafts: 0 };
    const cloud = new Cloud({
      model: change.engine?.(watched(engine, seen)) ?? watched(engine, seen),
      description: { name: adapter.name, fingerprint: "conformance", endTokens, chatTemplate: null },
      clock,
      server: "conformance",
    });
    const [near, far] = memoryPair(clock);
    cloud.accept(far);
    let isUp = false;
    const connected = connectEdge({
      transport: near,
      tokenizer: { fingerprint: "conformance" },
      drafter: new ParallelDrafter(change.drafter?.(drafter) ?? drafter),
      clock,
      client: "conformance",
    }).finally(() => {
      isUp = true;
    });
    const [opener] = await Promise.all([connected, adapter.until(() => isUp)]);
    return new Stage({ adapter, engine, drafter, cloud, opener, seen });
  }

  /** Starts a session. */
  start(settings: SessionSettings, prompt: Int32Array): Outcome {
    const outcome: Outcome = {
      ...{ tokens: [], logprobs: [], ended: null, message: "", accepted: 0, rejected: 0, steps: 0 },
      cancel: () => session.cancel(),
    };
    const session = this.opener.open(settings, prompt, {
      token: (token) => outcome.tokens.push(token),
      logprobs: (logprobs) => outcome.logprobs.push(logprobs),
      finished: (result, { accepted, rejected, usage }) => {
        outcome.ended = result.kind === "done" ? "done" : result.code;
        outcome.message = result.kind === "done" ? result.reason : result.message;
        Object.assign(outcome, { accepted, rejected, steps: usage?.targetPasses ?? 0 });
      },
    });
    return outcome;
  }

  /** One answer. */
  async answer(settings: SessionSettings, prompt: Int32Array): Promise<Outcome> {
    const outcome = this.start(settings, prompt);
    await this.ended(outcome);
    return outcome;
  }

  ended(...outcomes: readonly Outcome[]): Promise<void> {
    return this.adapter.until(() => outcomes.every(({ ended }) => ended !== null));
  }

  /** Waits until nothing is left on the cloud. @throws AssertionError when something is */
  async checkEmpty(): Promise<void> {
    await this.adapter.until(() => this.cloud.sessions().length === 0);
    this.cloud.checkIntegrity();
    this.opener.checkIntegrity();
    expectThat(this.cloud.openSessions === 0, "a session is left");
  }

  /** Says goodbye, and frees both models. */
  async close(): Promise<void> {
    this.opener.close();
    await this.adapter.until(() => this.cloud.sessions().length === 0 && this.cloud.connections === 0);
    this.cloud.checkIntegrity(true);
    this.cloud.close();
    this.engine.close();
    this.drafter.close();
  }
}
