import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";
import { PROMPTS } from "../support/prompts.ts";

/** 32 requests at a time, for as long as PICOSPEC_SOAK_SECONDS says: `npm run soak` takes two minutes. */

const SECONDS = Number(process.env.PICOSPEC_SOAK_SECONDS ?? 12);
const CONCURRENT = 32;
const KINDS = 12;
/** Every so manieth client leaves before its answer is there. */
const LEAVES_ONE_IN = 7;
const MOST_GROWTH_MB = 24;

let cloud: RunningCloud;
let edge: RunningCloud;
beforeAll(async () => {
  cloud = await startCloud(["--kv-slots", "16"]);
  edge = await startEdge([
    ...["--cloud", cloud.url, "--model", DRAFTER],
    ...["--concurrent", String(CONCURRENT), "--waiting", "8"],
  ]);
});
afterAll(async () => {
  await edge?.stop();
  await cloud?.stop();
});

function request(kind: number, stream: boolean, signal?: AbortSignal): Promise<Response> {
  return fetch(`${edge.url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      messages: [{ role: "user", content: PROMPTS[kind * 2] }],
      ...{ seed: kind, temperature: 1, max_tokens: 16 + kind, stream },
      policy: ["race", "cloud"][kind % 2],
    }),
    ...(signal ? { signal } : {}),
  });
}

/** One of a few questions; its answer is always the same text. */
async function ask(kind: number, stream: boolean): Promise<string> {
  const response = await request(kind, stream);
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
  return stream ? streamed(body) : JSON.parse(body).choices[0].message.content;
}

/** Leaves at once, or when so many parts of the answer have come. @returns whether it left before the end */
async function leaveAfter(parts: number, kind: number): Promise<boolean> {
  const leave = new AbortController();
  const asked = request(kind, true, leave.signal);
  if (parts === 0) leave.abort();
  try {
    const { status, body } = await asked;
    if (status !== 200) throw new Error(`${status}`);
    let seen = 0;
    for await (const _ of body!) if (++seen === parts) leave.abort();
    return false;
  } catch (error) {
    if ((error as Error).name === "AbortError") return true;
    throw error;
  }
}

function streamed(body: string): string {
  const events = body.split("\n\n").filter((event) => event.startsWith("data: {"));
  return events.map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? "").join("");
}

/** Resident memory of a process, MB. */
const residentMb = (pid: number) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;

describe(`${CONCURRENT} requests at a time, for ${SECONDS} s`, () => {
  it.runIf(process.platform === "linux")(
    "none is lost, none is mixed up, and memory stays as it is",
    { timeout: (SECONDS + 120) * 1000 },
    async () => {
      const expected: string[] = [];
      for (let kind = 0; kind < KINDS; kind++) expected.push(await ask(kind, false));
      expect(new Set(expected).size).toBe(KINDS);

      const until = Date.now() + SECONDS * 1000;
      let asked = 0;
      let left = 0;
      const wrong: string[] = [];
      const client = async () => {
        while (Date.now() < until) {
          const number = asked++;
          const kind = number % KINDS;
          try {
            if (number % LEAVES_ONE_IN === 0) {
              if (await leaveAfter(number % 4, kind)) left++;
            } else {
              const text = await ask(kind, number % 3 === 0);
              if (text !== expected[kind]) wrong.push(`${number}: ${text}`);
            }
          } catch (error) {
            wrong.push(`${number}: ${error}`);
          }
        }
      };
      const memory: { cloud: number; edge: number }[] = [];
      const watch = setInterval(
        () => memory.push({ cloud: residentMb(cloud.pid), edge: residentMb(edge.pid) }),
        (SECONDS * 1000) / 40,
      );
      await Promise.all(Array.from({ length: CONCURRENT }, client));
      clearInterval(watch);

      expect(wrong).toEqual([]);
      expect(asked).toBeGreaterThan(CONCURRENT * 2);
      expect(left).toBeGreaterThan(0);
      const root = edge.url.replace("/v1", "");
      const health = async () => (await fetch(`${root}/health`)).json();
      await expect.poll(health).toMatchObject({ status: "ok", active: 0, waiting: 0 });
      for (const side of ["cloud", "edge"] as const) {
        const [early, late] = [memory.slice(10, 20), memory.slice(-10)].map((part) =>
          median(part.map((at) => at[side])),
        );
        console.log(
          `${side}: ${early!.toFixed(0)} MB in the second quarter, ${late!.toFixed(0)} MB in the last`,
        );
        expect(late! - early!, `growth of the ${side}, MB`).toBeLessThan(MOST_GROWTH_MB);
      }
      console.log(`${asked} requests, ${left} of their clients left early`);
    },
  );
});
