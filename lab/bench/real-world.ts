import { type CloudServer, serveCloud } from "../../src/cloud/server.ts";
import type { Grammar } from "../../src/decoding/grammar.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import type { Outcome } from "../../src/edge/core/machine.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import { LocalOpener } from "../../src/edge/local-opener.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { type DraftModel, type PassEngine, rowsOf, withPass } from "../../src/engine/engine.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { pacedDrafter, pacedTarget } from "../../src/engine/paced.ts";
import type { Grammars } from "../../src/grammar/grammar.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { connect } from "../../src/transport/node/connect.ts";
import { symmetricWan, wan } from "../../src/transport/wan.ts";
import { PicoSpecError } from "../../src/util/errors.ts";
import { roundTrip, timing } from "./measure.ts";

/** An answer as it really went. */
export interface RealAnswer {
  readonly promptTokens: number;
  readonly statistics: PipelineStatistics;
  readonly tokens: readonly number[];
  /** for each place of the answer: 1 a draft was accepted, 0 one was rejected, -1 none was judged */
  readonly trace: Int8Array;
}

/** The emulated part of a real run. */
export interface Setting {
  readonly rttMs: number;
  readonly passMs: number;
  readonly draftMs: number;
}

/** Times as they were measured, named as in a scenario. */
export interface MeasuredTimes {
  readonly rttMs: number;
  readonly passMs: number;
  readonly passMsPerToken: number;
  readonly prefillTokensPerSecond: number;
  readonly draftMs: number;
  readonly draftPrefillTokensPerSecond: number;
}

/** One call of a model. */
export interface Sample {
  readonly prefill: number;
  readonly rows: number;
  readonly ms: number;
}

const PINGS = 11;
const PREFILL_TOKENS_PER_SECOND = 4000;

/** A cloud and an edge on real models over a real socket; hardware and network are emulated, and times are kept. */
export class RealWorld {
  private readonly server: CloudServer;
  private readonly client: RemoteOpener;
  private readonly local: LocalOpener;
  private readonly tokenizer: LlamaTokenizer;
  private readonly closers: (() => void)[];
  private readonly passes: Sample[];
  private readonly drafts: Sample[];
  private readonly setting: Setting;
  private readonly profile: { passMs: number };
  private rttMs = 0;

  private constructor(parts: {
    server: CloudServer;
    client: RemoteOpener;
    local: LocalOpener;
    tokenizer: LlamaTokenizer;
    closers: (() => void)[];
    passes: Sample[];
    drafts: Sample[];
    setting: Setting;
    profile: { passMs: number };
  }) {
    this.server = parts.server;
    this.client = parts.client;
    this.local = parts.local;
    this.tokenizer = parts.tokenizer;
    this.closers = parts.closers;
    this.passes = parts.passes;
    this.drafts = parts.drafts;
    this.setting = parts.setting;
    this.profile = parts.profile;
  }

  /** @param grammars over a tokenizer's vocabulary; not given: answers keep to none */
  static async open(
    setting: Setting,
    targetFile: string,
    drafterFile: string,
    grammars?: (tokenizer: Tokenizer, endTokens: readonly number[]) => Promise<Grammars>,
  ): Promise<RealWorld> {
    const profile = {
      passMs: setting.passMs,
      passMsPerToken: 0,
      passFreeRows: 1,
      prefillTokensPerSecond: PREFILL_TOKENS_PER_SECOND,
      draftMs: setting.draftMs,
      draftPrefillTokensPerSecond: PREFILL_TOKENS_PER_SECOND,
    };
    const [passes, drafts]: [Sample[], Sample[]] = [[], []];
    const targetModel = await LlamaModel.load(targetFile, { gpu: "off" });
    const draftModel = await LlamaModel.load(drafterFile, { gpu: "off" });
    const plainTarget = await llamaTargetModel(targetModel, { threads: 1, kvSlots: 1 });
    const plainDrafter = await llamaDraftModel(draftModel, { threads: 1 });
    const target = timedTarget(pacedTarget(plainTarget, profile, systemClock), passes);
    const drafter = new ParallelDrafter(
      timedDrafter(pacedDrafter(plainDrafter, profile, systemClock), drafts),
    );
    const tokenizer = new LlamaTokenizer(draftModel);
    const { name, fingerprint, chatTemplate } = targetModel.file;
    const description = {
      name,
      fingerprint,
      chatTemplate,
      endTokens: new LlamaTokenizer(targetModel).endTokens(),
    };
    const kept = grammars ? await grammars(tokenizer, description.endTokens) : null;
    const server = await serveCloud({ model: target, description, port: 0, server: "bench", grammars: kept });
    const link = wan(await connect(server.url), symmetricWan(setting.rttMs), systemClock, Math.random);
    const client = await connectEdge({
      transport: link,
      tokenizer,
      drafter,
      clock: systemClock,
      client: "bench",
      grammars: kept,
    });
    const closers = [drafter.model, target, draftModel, targetModel].map((part) => () => part.close());
    const local = new LocalOpener({
      ...{ drafter, name: "edge", chatTemplate: draftModel.file.chatTemplate, grammars: null },
      ...{ endTokens: tokenizer.endTokens(), clock: systemClock },
    });
    const world = new RealWorld({
      server,
      client,
      local,
      tokenizer,
      closers,
      passes,
      drafts,
      setting,
      profile,
    });
    const pings: number[] = [];
    for (let i = 0; i < PINGS; i++) {
      pings.push(await roundTrip(client, 0, false));
    }
    world.rttMs = timing(pings).median;
    return world;
  }

  /** From now on. */
  passesTake(ms: number): void {
    this.profile.passMs = ms;
  }

  forgetTimes(): void {
    this.passes.length = 0;
    this.drafts.length = 0;
  }

  /** One answer, and what became of the drafts at each of its places. */
  async answer(
    policy: DecodingPolicy,
    question: string,
    seed: number,
    temperature: number,
    grammar?: Grammar,
  ): Promise<RealAnswer> {
    const { tokenizer, client, local } = this;
    const { chatTemplate } = (policy.target ? client : local).model;
    const prompt = chatPrompt(chatTemplate, [{ role: "user", content: question }], tokenizer);
    const sampler = samplerSettings({ temperature });
    const settings = { policy, sampler, seed: toSeed(seed), maxTokens: 200, ...(grammar ? { grammar } : {}) };
    const tokens: number[] = [];
    const flags: number[] = [];
    let rejectedAt = -1;
    const statistics = await new Promise<PipelineStatistics>((resolve, reject) => {
      const listener: SessionListener = {
        discarded: (_, position) => {
          rejectedAt = position;
        },
        token: (token, origin, position) => {
          tokens.push(token);
          const judged = policy.target && (origin === "draft" || position === rejectedAt);
          flags.push(judged ? (origin === "draft" ? 1 : 0) : -1);
        },
        finished: (outcome: Outcome, counted) =>
          outcome.kind === "done"
            ? resolve(counted)
            : reject(new PicoSpecError(outcome.code, outcome.message)),
      };
      (policy.target ? client : local).open(settings, prompt, listener);
    });
    return { promptTokens: prompt.length, statistics, tokens, trace: Int8Array.from(flags) };
  }

  /** Means of what was measured since `forgetTimes`. */
  times(): MeasuredTimes {
    const { passMs, draftMs } = this.setting;
    const decode = this.passes.filter(({ rows, prefill }) => rows > 0 && prefill === 0);
    const draft = this.drafts.filter(({ rows, prefill }) => rows > 0 && prefill === 0);
    const mean = (samples: readonly Sample[], fallback: number) =>
      samples.length > 0 ? samples.reduce((sum, { ms }) => sum + ms, 0) / samples.length : fallback;
    return {
      rttMs: this.rttMs,
      passMs: mean(decode, passMs),
      passMsPerToken: 0,
      prefillTokensPerSecond: PREFILL_TOKENS_PER_SECOND,
      draftMs: mean(draft, draftMs),
      draftPrefillTokensPerSecond: PREFILL_TOKENS_PER_SECOND,
    };
  }

  async close(): Promise<void> {
    this.client.close();
    await this.server.close();
    for (const close of this.closers) close();
  }
}

function timedTarget(model: PassEngine, samples: Sample[]): PassEngine {
  return withPass(model, (items, done) => {
    const startMs = performance.now();
    const rows = items.reduce((sum, item) => sum + rowsOf(item), 0);
    const prefill = items.reduce((sum, item) => sum + item.tokens.length, 0) - rows;
    model.pass(items, (error, results) => {
      samples.push({ rows, prefill, ms: performance.now() - startMs });
      done(error, results);
    });
  });
}

/** Keeps how long each feed took. */
export function timedDrafter(model: DraftModel, samples: Sample[]): DraftModel {
  const { info, feedTokens } = model;
  return {
    ...{ info, feedTokens },
    feed(from, tokens, read, done) {
      const startMs = performance.now();
      const rows = read ? 1 : 0;
      model.feed(from, tokens, read, (error) => {
        samples.push({ rows, prefill: tokens.length - rows, ms: performance.now() - startMs });
        done(error);
      });
    },
    close: () => model.close(),
  };
}
