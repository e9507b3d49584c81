import { readFileSync } from "node:fs";
import { POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { LookupDrafter } from "../../src/edge/drafters/lookup-drafter.ts";
import { Edge } from "../../src/edge/edge.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { connect } from "../../src/transport/node/connect.ts";
import { readExposition } from "../support/exposition.ts";
import { DRAFTER, type RunningCloud, startCloud } from "../support/processes.ts";
import { PROMPTS } from "../support/prompts.ts";

/** Many edges on one cloud for minutes: nothing is lost, and neither passes nor memory grow. */

export interface EdgesReport {
  readonly answers: number;
  /** not 0 only where something is wrong */
  readonly wrong: number;
  readonly failed: number;
  /** of the cloud's passes in each quarter of the time: the bound of the histogram's bucket that holds it, s */
  readonly passP99: readonly number[];
  /** resident memory of the cloud at the end of each quarter, MB */
  readonly residentMb: readonly number[];
}

const QUARTERS = 4;
const KINDS = 16;

/** @param tell gets a line a quarter */
export async function manyEdges(
  edges: number,
  seconds: number,
  tell: (line: string) => void,
): Promise<EdgesReport> {
  const options = ["--metrics-port", "0", "--sessions", "128", "--kv-slots", "32", "--log-level", "warn"];
  const cloud = await startCloud(options);
  const model = await LlamaModel.load(DRAFTER, { gpu: "off", vocabularyOnly: true });
  const tokenizer = new LlamaTokenizer(model);
  const openers: RemoteOpener[] = [];
  try {
    const open = async () => {
      const opener = await connectEdge({
        transport: await connect(cloud.url),
        ...{ tokenizer, drafter: new LookupDrafter(), clock: systemClock, client: "edges" },
      });
      openers.push(opener);
      return new Edge({
        ...{ remote: opener, local: null, tokenizer, chatTemplate: null },
        ...{ freshSeed: () => toSeed(0), policy: POLICIES.race },
      });
    };
    const all = await Promise.all(Array.from({ length: edges }, open));
    const texts: string[] = [];
    for (let kind = 0; kind < KINDS; kind++) texts.push(await ask(all[0]!, kind));
    const count = { answers: 0, wrong: 0, failed: 0 };
    const [passP99, residentMb]: [number[], number[]] = [[], []];
    let before = await passes(cloud);
    for (let quarter = 0; quarter < QUARTERS; quarter++) {
      const untilMs = performance.now() + (seconds * 1000) / QUARTERS;
      await Promise.all(
        all.map(async (edge, i) => {
          for (let kind = i; performance.now() < untilMs; kind++) {
            try {
              if ((await ask(edge, kind % KINDS)) === texts[kind % KINDS]) count.answers++;
              else count.wrong++;
            } catch (error) {
              count.failed++;
              tell(String(error));
              return;
            }
          }
        }),
      );
      const now = await passes(cloud);
      passP99.push(percentile(now, before, 0.99));
      before = now;
      residentMb.push(residentMbOf(cloud.pid));
      tell(
        `quarter ${quarter + 1}: ${count.answers} answers, p99 of a pass at most ${passP99.at(-1)} s, ${residentMb.at(-1)} MB`,
      );
    }
    return { ...count, passP99, residentMb };
  } finally {
    for (const opener of openers) opener.close();
    model.close();
    await cloud.stop();
  }
}

async function ask(edge: Edge, kind: number): Promise<string> {
  const prompt = [{ role: "user", content: PROMPTS[kind]! }] as const;
  const { text } = await edge.ask({ prompt, seed: toSeed(kind), maxTokens: 32, sampler: { temperature: 1 } });
  return text;
}

/** Upper bound of each bucket of the cloud's pass times, and how many passes took no longer. */
async function passes(cloud: RunningCloud): Promise<ReadonlyMap<number, number>> {
  const url = /metrics on (http:\S+)/.exec(cloud.said)![1]!;
  const { samples } = readExposition(await (await fetch(url)).text());
  const buckets = [...samples].flatMap(([name, value]) => {
    const bound = /^picospec_cloud_pass_seconds_bucket\{.*le="([^"]+)"/.exec(name)?.[1];
    return bound === undefined
      ? []
      : [[bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound), value] as const];
  });
  return new Map(buckets);
}

function percentile(
  now: ReadonlyMap<number, number>,
  before: ReadonlyMap<number, number>,
  part: number,
): number {
  const bounds = [...now.keys()].sort((a, b) => a - b);
  const count = (bound: number) => now.get(bound)! - (before.get(bound) ?? 0);
  const all = count(bounds.at(-1)!);
  return bounds.find((bound) => count(bound) >= part * all)!;
}

function residentMbOf(pid: number): number {
  const kb = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
  return Math.round(kb / 1024);
}
