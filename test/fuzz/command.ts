import { parseArgs } from "node:util";
import { type EngineKind, trySeed } from "./search.ts";

/** `npm run fuzz`: the fault search over as many seeds as one likes, and one seed again. */

const USAGE = `npm run fuzz -- [options]
  --seeds N     how many worlds (20000)
  --from S      the first seed (0)
  --seed S      one world
  --timeline    everything that happens in it, with --seed
  --live        over engines that decode by themselves
  --drain       over replicas that are drained`;

interface Request {
  readonly from: number;
  readonly seeds: number;
  readonly timeline: boolean;
  readonly kind: EngineKind;
  readonly help: boolean;
}

/** Seeds are numbers of 32 bits: a world draws two series of random numbers from each. */
const MOST = 2 ** 32;
const PROGRESS_MS = 5000;
/** Then something is wrong with all of them. */
const MOST_FAILURES = 20;

/** @returns the exit code */
export function fuzz(args: readonly string[]): number {
  const request = requestOf(args);
  if (typeof request === "string") {
    console.error(`${request}; see npm run fuzz -- --help`);
    return 2;
  }
  if (request.help) {
    console.log(USAGE);
    return 0;
  }
  return request.seeds === 1 ? one(request) : many(request);
}

/** What is wanted, or what is wrong with it in one line. */
export function requestOf(args: readonly string[]): Request | string {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = {
    seeds: text,
    from: text,
    seed: text,
    timeline: flag,
    live: flag,
    drain: flag,
    help: flag,
  };
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!.replace(/\.$/, "");
  }
  const { seed, timeline, live, drain, help } = values;
  const kind = drain ? "drain" : live ? "live" : "pass";
  if (seed !== undefined && (values.seeds ?? values.from) !== undefined)
    return "--seed is one world: no --seeds, no --from";
  if (timeline && seed === undefined) return "--timeline is of one world: give its --seed";
  const counts = { seeds: values.seeds ?? "20000", from: seed ?? values.from ?? "0" };
  for (const [name, value] of Object.entries(counts)) {
    const option = name === "from" && seed !== undefined ? "--seed" : `--${name}`;
    if (!/^\d+$/.test(value) || Number(value) >= MOST)
      return `${option} is a whole number below 2^32, not "${value}"`;
  }
  const [from, seeds] = [Number(counts.from), seed === undefined ? Number(counts.seeds) : 1];
  if (seeds === 0) return "--seeds is 1 or more";
  return { from, seeds, timeline, kind, help };
}

/** One world, with all that there is to see of it. */
function one({ from, timeline, kind }: Request): number {
  try {
    const { sessions, happened } = trySeed(from, timeline ? console.log : undefined, kind);
    console.log(`seed ${from}: nothing found in ${sessions} sessions (${list(happened)})`);
    return 0;
  } catch (error) {
    console.error(`${(error as Error).message}\n${((error as Error).cause as Error).stack}`);
    return 1;
  }
}

function many({ from, seeds, kind }: Request): number {
  const happened = new Map<string, number>();
  const startedMs = Date.now();
  let [sessions, failed, toldMs] = [0, 0, startedMs];
  const progress = (tried: number) => {
    const perSecond = (tried * 1000) / Math.max(1, Date.now() - startedMs);
    return `${tried} of ${seeds} seeds, ${perSecond.toFixed(0)} a second, ${failed} failed`;
  };
  for (let seed = from; seed < from + seeds && failed < MOST_FAILURES; seed++) {
    try {
      const found = trySeed(seed, undefined, kind);
      sessions += found.sessions;
      for (const [name, count] of found.happened) happened.set(name, (happened.get(name) ?? 0) + count);
    } catch (error) {
      failed++;
      console.error((error as Error).message);
    }
    if (Date.now() - toldMs < PROGRESS_MS) continue;
    toldMs = Date.now();
    console.error(progress(seed - from + 1));
  }
  console.log(`${sessions} sessions; ${list(happened)}`);
  console.log(failed < MOST_FAILURES ? progress(seeds) : `gave up after ${failed} failures`);
  return failed > 0 ? 1 : 0;
}

function list(happened: ReadonlyMap<string, number>): string {
  const names = [...happened].filter(([name]) => !name.startsWith("frame "));
  return names
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
