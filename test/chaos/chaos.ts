import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";
import { PROMPTS } from "../support/prompts.ts";
import { type ChaoticLink, chaoticLink, type FaultKind } from "./link.ts";

/** Real processes over links that drop, stall and reset: every text has to be what it is over a link without faults. */

export interface ChaosOptions {
  readonly generations: number;
  readonly edges: number;
  readonly seed: number;
  /** how long an edge tries for a new link, seconds; 0: not at all */
  readonly reconnectSeconds: number;
}

export interface ChaosReport {
  readonly right: number;
  readonly wrong: number;
  /** answers that were no 200 */
  readonly failed: number;
  readonly faults: Readonly<Record<FaultKind, number>>;
}

const TIMES = { mostBetweenMs: 1500, mostStallMs: 1500 };
const AT_A_TIME = 3;
/** Distinct questions: each has one right text. */
const KINDS = 12;

/** @param tell gets a line about how it goes on */
export async function chaos(options: ChaosOptions, tell: (line: string) => void): Promise<ChaosReport> {
  const cloud = await startCloud(["--hardware", "standard", "--kv-slots", "16"]);
  const links: ChaoticLink[] = [];
  const edges: RunningCloud[] = [];
  try {
    const calm = await startEdge(["--cloud", cloud.url, "--model", DRAFTER]);
    edges.push(calm);
    const texts = await Promise.all(Array.from({ length: KINDS }, (_, kind) => ask(calm, kind, "cloud")));
    for (let i = 0; i < options.edges; i++) {
      const link = await chaoticLink(cloud.port, options.seed + i, TIMES);
      links.push(link);
      const reconnect = ["--reconnect", String(options.reconnectSeconds)];
      edges.push(
        await startEdge(["--cloud", `ws://127.0.0.1:${link.port}`, "--model", DRAFTER, ...reconnect]),
      );
    }
    const seeds = links.map((_, i) => options.seed + i);
    tell(`${options.generations} generations, ${options.edges} edges, seeds of the links ${seeds.join(" ")}`);
    let [next, right, wrong, failed] = [0, 0, 0, 0];
    const worker = async (edge: RunningCloud) => {
      while (next < options.generations) {
        const number = next++;
        const kind = number % KINDS;
        try {
          const text = await ask(edge, kind, policyOf(number, kind));
          if (text === texts[kind]) right++;
          else {
            wrong++;
            tell(`generation ${number}: ${JSON.stringify(text)}, not ${JSON.stringify(texts[kind])}`);
          }
        } catch {
          failed++;
        }
      }
    };
    await Promise.all(
      edges.slice(1).flatMap((edge) => Array.from({ length: AT_A_TIME }, () => worker(edge))),
    );
    const faults = { drop: 0, stall: 0, reset: 0 };
    for (const link of links)
      for (const kind of ["drop", "stall", "reset"] as const) faults[kind] += link.faults[kind];
    return { right, wrong, failed, faults };
  } finally {
    for (const link of links) link.close();
    await Promise.all(edges.map((edge) => edge.stop("SIGKILL")));
    await cloud.stop("SIGKILL");
  }
}

function hasChance(kind: number): boolean {
  return kind % 2 === 1;
}

/** Under rejection coupling a text with chance depends on where drafts were: such a question is asked under the others. */
function policyOf(number: number, kind: number): string {
  const policies = hasChance(kind) ? ["race", "cloud"] : ["race", "picospec", "cloud"];
  return policies[Math.floor(number / KINDS) % policies.length]!;
}

async function ask(edge: RunningCloud, kind: number, policy: string): Promise<string> {
  const response = await fetch(`${edge.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      messages: [{ role: "user", content: PROMPTS[kind * 2] }],
      // Half of the questions with chance: under Gumbel coupling one seed has one text, also over a broken link.
      temperature: hasChance(kind) ? 1 : 0,
      ...{ seed: kind, max_tokens: 24 + 2 * kind, policy },
    }),
  });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
  return (JSON.parse(body) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
}
