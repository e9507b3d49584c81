import { POLICIES } from "../../src/decoding/policy.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { PicoSpecError } from "../../src/util/errors.ts";
import type { Measurements, PassSample, TransferSample } from "../models/fit.ts";
import { roundTrip } from "./measure.ts";

/** A short look at a real cloud: round trip, bandwidth, times of passes, and how often drafts are accepted. */

export interface ProbeOptions {
  /** the link that is measured */
  readonly client: RemoteOpener;
  /** over that link */
  readonly edge: Edge;
  readonly prompt: string;
  readonly temperature: number;
  readonly progress: (what: string) => void;
}

const PINGS = 24;
const PING_SPACING_MS = 20;
const PADDING_BYTES = [1024, 48 * 1024] as const;
const TRANSFERS = 4;
const TRANSFERS_WITHIN_MS = 2500;
/** of all answers together; the rest of ten seconds goes to the network */
const ANSWERS_MS = 5000;
const FIRST_TOKENS = 8;
const MOST_TOKENS = 48;
/** Windows that give passes of different sizes. */
const WINDOWS = [2, 4, 8] as const;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Measures for less than ten seconds.
 * @throws PicoSpecError `no_answer` when the cloud does not answer in that time
 */
export async function probe(options: ProbeOptions): Promise<Measurements> {
  const { client, progress } = options;
  progress("round trip");
  const pingsMs = await pings(client);
  progress("bandwidth");
  const { up, down } = await transfers(client);
  progress("times and acceptance");
  const { passes, rejection, coupled } = await answers(options);
  return {
    pingsMs,
    ...(up.length > 2 ? { up, down } : {}),
    passes,
    ...(rejection.judged > 0 ? { rejection } : {}),
    ...(coupled.judged > 0 ? { coupled } : {}),
  };
}

/**
 * Round trips of a series of pings, ms, in the order in which they were sent.
 * @throws PicoSpecError `no_answer`, CloudError when the link breaks
 */
export async function pings(client: RemoteOpener): Promise<number[]> {
  const waiting: Promise<number>[] = [];
  for (let i = 0; i < PINGS; i++) {
    waiting.push(roundTrip(client, 0, false));
    await sleep(PING_SPACING_MS);
  }
  return inTime(Promise.all(waiting), TRANSFERS_WITHIN_MS);
}

const FRAME_PINGS = 400;

/**
 * Processor time of one frame on this side, ms: a ping that is sent, or its answer that comes, one at a time.
 * @param cpuMs of this process so far
 * @throws PicoSpecError `no_answer`, CloudError when the link breaks
 */
export async function frameCost(client: RemoteOpener, cpuMs: () => number): Promise<number> {
  let startMs = 0;
  // The first half warms up.
  for (let i = 0; i < 2 * FRAME_PINGS; i++) {
    if (i === FRAME_PINGS) startMs = cpuMs();
    await inTime(roundTrip(client, 0, false), TRANSFERS_WITHIN_MS);
  }
  return (cpuMs() - startMs) / (2 * FRAME_PINGS);
}

/**
 * Small and large messages up; then the same up and down, less what the way up took. Fewer over a slow link.
 * @throws PicoSpecError `no_answer`, CloudError when the link breaks
 */
export async function transfers(
  client: RemoteOpener,
): Promise<{ up: TransferSample[]; down: TransferSample[] }> {
  const [up, down]: [TransferSample[], TransferSample[]] = [[], []];
  const startMs = performance.now();
  for (let i = 0; i < TRANSFERS; i++) {
    for (const bytes of PADDING_BYTES) {
      if (performance.now() - startMs > TRANSFERS_WITHIN_MS) return { up, down };
      const upMs = await inTime(roundTrip(client, bytes, false), TRANSFERS_WITHIN_MS);
      up.push({ bytes, ms: upMs });
      down.push({ bytes, ms: (await inTime(roundTrip(client, bytes, true), TRANSFERS_WITHIN_MS)) - upMs });
    }
  }
  return { up, down };
}

async function answers(options: ProbeOptions) {
  const passes: PassSample[] = [];
  const deadlineMs = performance.now() + ANSWERS_MS;
  const first = await answer(options, "cloud", 0, FIRST_TOKENS, deadlineMs);
  notePasses(first, passes);
  const passMs = passes[0]?.ms ?? 100;
  // What is left is shared by the others; a pass brings a token or two.
  const leftMs = deadlineMs - performance.now();
  const tokens = Math.max(
    4,
    Math.min(MOST_TOKENS, Math.floor((1.3 * leftMs) / (WINDOWS.length + 1) / passMs)),
  );
  const rejection = { accepted: 0, judged: 0 };
  const coupled = { accepted: 0, judged: 0 };
  for (const [i, windowTokens] of WINDOWS.entries()) {
    if (performance.now() > deadlineMs) break;
    const statistics = await answer(options, "picospec", windowTokens, tokens, deadlineMs, i + 1);
    notePasses(statistics, passes);
    note(statistics, rejection);
  }
  note(await answer(options, "race", 0, tokens, deadlineMs + 1000, 9), coupled);
  return { passes, rejection, coupled };
}

function note(
  { accepted, rejected }: PipelineStatistics,
  counts: { accepted: number; judged: number },
): void {
  counts.accepted += accepted;
  counts.judged += accepted + rejected;
}

/** A session's passes as one sample of their mean. */
function notePasses({ usage }: PipelineStatistics, passes: PassSample[]): void {
  if (!usage || usage.targetPasses === 0) return;
  passes.push({ rows: usage.targetRows / usage.targetPasses, ms: usage.targetMs / usage.targetPasses });
}

async function answer(
  { edge, prompt, temperature }: ProbeOptions,
  name: "cloud" | "picospec" | "race",
  windowTokens: number,
  maxTokens: number,
  deadlineMs: number,
  seed = 0,
): Promise<PipelineStatistics> {
  const base = POLICIES[name];
  const policy =
    windowTokens === 0
      ? base
      : { ...base, adaptive: false, windowTokens, segmentTokens: Math.min(base.segmentTokens, windowTokens) };
  const signal = AbortSignal.timeout(Math.round(Math.max(1000, deadlineMs - performance.now())));
  const { statistics } = await edge.ask({
    prompt: [{ role: "user", content: prompt }],
    sampler: { temperature },
    seed: toSeed(seed),
    ...{ policy, maxTokens, signal },
  });
  if (statistics.tokens === 0) throw noAnswer();
  return statistics;
}

async function inTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(noAnswer()), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function noAnswer(): PicoSpecError {
  return new PicoSpecError(
    "no_answer",
    "the cloud is too slow to be measured in ten seconds; try again when it is less busy",
  );
}
