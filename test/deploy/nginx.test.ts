import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEdge, type DeviceEdge } from "../../src/device/edge.ts";
import type { AnswerRequest } from "../../src/edge/edge.ts";
import { type TestAuthority, testAuthority } from "../support/certificates.ts";
import { DRAFTER, type Finished, type RunningCloud, startCloud } from "../support/processes.ts";
import { PROMPTS } from "../support/prompts.ts";
import { type Certificate, type RunningProxy, startNginx } from "../support/proxies.ts";

/** Two clouds behind nginx with TLS, as deploy/nginx has it: one of them ends in the middle of 40 answers. */

const EDGES = 4;
const ANSWERS = 40;
/** Tokens of all answers together, after which one of the clouds ends: no answer is over by then. */
const MIDDLE_TOKENS = ANSWERS * 8;
const DRAIN_SECONDS = 60;

const STORIES = PROMPTS.slice(20);
/** Texts by rejection coupling are the cloud's own at temperature 0, those of race with every seed. */
const QUESTIONS: readonly AnswerRequest[] = Array.from({ length: ANSWERS }, (_, i) => {
  const content = STORIES[i % STORIES.length]!;
  const common = { prompt: [{ role: "user" as const, content }], seed: i, maxTokens: 48 };
  return i % 4 === 3
    ? { ...common, policy: "picospec", sampler: { temperature: 0 } }
    : { ...common, policy: "race", sampler: { temperature: 0.8 } };
});

const folder = mkdtempSync(join(tmpdir(), "picospec-nginx-"));
let authority: TestAuthority;
let certificate: Certificate;
/** what one cloud says alone, by question */
let alone: string[];

beforeAll(async () => {
  authority = await testAuthority(folder);
  certificate = await authority.certificate("nginx", 30);
  const cloud = await startCloud(["--kv-slots", "16"]);
  try {
    alone = await answersAlone(cloud.url);
  } finally {
    await cloud.stop();
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function answersAlone(cloud: string): Promise<string[]> {
  const edge = await createEdge({ cloud, drafter: "lookup", policy: "cloud" });
  const texts = async (questions: readonly AnswerRequest[]) =>
    Promise.all(questions.map(async (one) => (await edge.ask({ ...one, policy: "cloud" })).text));
  try {
    // In two parts: a connection has a bound of sessions.
    return [...(await texts(QUESTIONS.slice(0, 20))), ...(await texts(QUESTIONS.slice(20)))];
  } finally {
    await edge.close();
  }
}

interface Outcome {
  /** null: failed */
  readonly texts: readonly (string | null)[];
  /** the answers that were under way when the cloud was told to end */
  readonly underWay: number;
  readonly ended: Finished;
  readonly endedAfterMs: number;
}

async function answersWhileOneEnds(signal: NodeJS.Signals, reconnectMs: number): Promise<Outcome> {
  // Slow hardware is emulated, so that there is a middle.
  const slow = ["--hardware", "standard", "--kv-slots", "16", "--drain-seconds", String(DRAIN_SECONDS)];
  const clouds = [await startCloud(slow), await startCloud(slow)] as const;
  let nginx: RunningProxy | null = null;
  const edges: DeviceEdge[] = [];
  try {
    nginx = await startNginx(folder, [clouds[0].port, clouds[1].port], certificate);
    const how = { cloud: nginx.url, cloudCa: readFileSync(authority.ca, "utf8"), model: DRAFTER, threads: 1 };
    for (let i = 0; i < EDGES; i++) edges.push(await createEdge({ ...how, gpu: "off", reconnectMs }));
    return await ask(edges, clouds[0], signal);
  } finally {
    await Promise.all(edges.map((edge) => edge.close()));
    await nginx?.stop();
    await Promise.all(clouds.map((cloud) => cloud.stop("SIGKILL")));
  }
}

async function ask(
  edges: readonly DeviceEdge[],
  victim: RunningCloud,
  signal: NodeJS.Signals,
): Promise<Outcome> {
  let [tokens, over, underWay] = [0, 0, -1];
  let ended: Promise<readonly [Finished, number]> | null = null;
  const end = async () => {
    const startMs = performance.now();
    return [await victim.stop(signal), performance.now() - startMs] as const;
  };
  const answers = QUESTIONS.map(async (question, i) => {
    const edge = edges[i % edges.length]!;
    const answer = edge.ask(question, (event) => {
      if (event.type !== "text") return;
      tokens += event.tokens.length;
      if (tokens < MIDDLE_TOKENS || ended) return;
      underWay = ANSWERS - over;
      ended = end();
    });
    const text = await answer.then(
      ({ text }) => text,
      () => null,
    );
    over++;
    return text;
  });
  const texts = await Promise.all(answers);
  const [finished, endedAfterMs] = await ended!;
  return { texts, underWay, ended: finished, endedAfterMs };
}

describe(`${ANSWERS} answers over nginx with TLS, by ${EDGES} edges on two clouds`, () => {
  it("one that is drained in the middle changes no text, and is gone within its time", async () => {
    const { texts, underWay, ended, endedAfterMs } = await answersWhileOneEnds("SIGTERM", 30_000);
    expect(texts).toEqual(alone);
    expect(underWay).toBeGreaterThan(ANSWERS / 2);
    expect(ended.status, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/draining/);
    expect(endedAfterMs).toBeLessThan(DRAIN_SECONDS * 1000);
  });

  it("one that is killed in the middle changes no text", async () => {
    const { texts, underWay } = await answersWhileOneEnds("SIGKILL", 30_000);
    expect(texts).toEqual(alone);
    expect(underWay).toBeGreaterThan(ANSWERS / 2);
  });

  it("control: without resumption, answers of the cloud that is killed fail, and no others change", async () => {
    const { texts } = await answersWhileOneEnds("SIGKILL", 0);
    const failed = texts.filter((text) => text === null).length;
    expect(failed).toBeGreaterThan(0);
    expect(failed).toBeLessThan(ANSWERS);
    expect(texts.filter((text, i) => text !== null && text !== alone[i])).toEqual([]);
  });
});
