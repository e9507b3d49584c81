import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { Edge } from "../../src/edge/edge.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { connect } from "../../src/transport/node/connect.ts";
import { DRAFTER, picospec, startCloud } from "../support/processes.ts";
import { PROMPTS } from "../support/prompts.ts";

const EDGES = 8;

describe("one cloud and 8 edges, each in a process of its own", () => {
  it.each([8, 4])("with %i sequences: every text is what the cloud says alone", async (sequences) => {
    const cloud = await startCloud(["--kv-slots", String(sequences), "--quantum", "16"]);
    const run = async (question: string, policy: string) => {
      const args = ["run", question, "--cloud", cloud.url, "--model", DRAFTER, "--threads", "1"];
      const { status, stdout, stderr } = await picospec([
        ...args,
        "--temperature",
        "0",
        "--policy",
        policy,
        "--json",
      ]);
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout).text as string;
    };
    const questions = PROMPTS.filter((_, i) => i % 4 === 0).slice(0, EDGES);
    const together = await Promise.all(
      questions.map((question, i) => run(question, i % 2 ? "vanilla" : "picospec")),
    );
    for (const [i, question] of questions.entries()) expect(together[i]).toBe(await run(question, "cloud"));
    const { status } = await cloud.stop();
    expect(status).toBe(0);
  });
});

/** Resident memory of a process, KB. */
function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

describe("memory", () => {
  it.runIf(process.platform === "linux")(
    "of a cloud grows by less than 20 KB a session over 200 sessions, after 50 to warm up",
    async () => {
      const cloud = await startCloud(["--kv-slots", "4"]);
      const model = await LlamaModel.load(DRAFTER, { gpu: "off" });
      const tokenizer = new LlamaTokenizer(model);
      const drafter = new ParallelDrafter(await llamaDraftModel(model, { threads: 1 }));
      const client = await connectEdge({
        transport: await connect(cloud.url),
        tokenizer,
        drafter,
        clock: systemClock,
        client: "test",
      });
      const edge = new Edge({
        ...{ remote: client, local: null, tokenizer, chatTemplate: null },
        ...{ freshSeed: () => toSeed(0), policy: POLICIES.picospec },
      });
      const session = async (i: number) => {
        const content = PROMPTS[i % PROMPTS.length]!;
        await edge.ask({ prompt: [{ role: "user", content }], seed: toSeed(i), maxTokens: 64 });
      };
      for (let i = 0; i < 50; i++) await session(i);
      const before = residentKb(cloud.pid);
      for (let i = 50; i < 250; i++) await session(i);
      const growthKb = (residentKb(cloud.pid) - before) / 200;
      console.log(
        `resident memory: ${before} KB after 50 sessions, ${growthKb.toFixed(1)} KB more a session over 200`,
      );
      client.close();
      drafter.model.close();
      model.close();
      await cloud.stop();
      expect(growthKb).toBeLessThan(20);
    },
  );
});
