import type { SessionView } from "../../src/cloud/core/machine.ts";
import { AssertionError } from "../../src/util/assert.ts";
import type { FuzzEdge } from "./edge.ts";
import { drafterKv } from "./engines.ts";
import { Broken, hold } from "./hold.ts";
import type { Run } from "./run.ts";
import type { FuzzServer, Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/**
 * What holds after every event, looked up in the real objects by names that are otherwise nobody else's business.
 * Only what an event can have changed is looked at again.
 */

// biome-ignore lint/suspicious/noExplicitAny: an inspection looks at what is private
export type Inside = any;

/** Bytes that may wait in one direction of a link: a few windows, verdicts and pings of a few short sessions. */
const MOST_QUEUED_BYTES = 64 * 1024;
/**
 * A look into the text takes no time: when verdicts come all at once, after a silence, each that differs may have a
 * whole window drafted anew. 256 verdicts, 128 frames of 28 bytes.
 */
const MOST_QUEUED_BY_LOOKUP_BYTES = 1024 * 1024;

const RECENT_TOKENS = 32;

/** What was seen of an object at the last look: equal numbers mean that there is nothing new to compare. */
class Seen {
  /** tokens of the answer that were compared with what is right */
  agreed = 0;
  /** decided tokens, prompt included */
  readonly decided: number[] = [];
  private numbers: readonly number[] = [];
  private news = 0;

  /** Where to compare tokens from: the last ones each time, all of them now and then. */
  from(length: number): number {
    return this.news % 16 === 0 ? 0 : Math.max(0, length - RECENT_TOKENS);
  }

  isNews(...numbers: readonly number[]): boolean {
    const isNews = numbers.some((number, i) => number !== this.numbers[i]);
    this.numbers = numbers;
    if (isNews) this.news++;
    return isNews;
  }
}

const seenOf = new WeakMap<object, Seen>();

function seen(of: object): Seen {
  const known = seenOf.get(of) ?? new Seen();
  seenOf.set(of, known);
  return known;
}

const seenOfLife = new WeakMap<Life, Map<number, Seen>>();

/** @param key of a session of this life */
function seenById(life: Life, key: number): Seen {
  const ofLife = seenOfLife.get(life) ?? new Map<number, Seen>();
  seenOfLife.set(life, ofLife);
  const known = ofLife.get(key) ?? new Seen();
  ofLife.set(key, known);
  return known;
}

/** What an owner finds wrong with itself. */
export function integrity(name: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    throw new Broken("integrity", `${name}: ${error.message}`);
  }
}

// The cloud

export function checkServer(world: FuzzWorld, server: FuzzServer): void {
  const { life, name } = server;
  if (!life) return;
  integrity(name, () => life.cloud.checkIntegrity());
  for (const view of life.cloud.sessions()) if (!view.ended) checkCloudSession(world, server, life, view);
}

function checkCloudSession(world: FuzzWorld, server: FuzzServer, life: Life, view: SessionView): void {
  const { identity, committed, cached, slot } = view;
  const kv = slot < 0 ? null : life.toy.held(slot);
  const known = seenById(life, identity.key);
  const run = world.runAt(life, identity.connection, identity.id);
  checkAgreement(world, life, view, run);
  if (!known.isNews(committed.length, cached, slot, kv?.length ?? -1)) return;
  const where = () => `${server.name}'s session of ${run?.name}`;
  const { decided } = known;
  hold(committed.length >= decided.length, "order", () => `${where()} has taken back a token`);
  for (let i = known.from(decided.length); i < decided.length; i++) {
    hold(committed[i] === decided[i], "order", () => `${where()} has changed position ${i}`);
  }
  for (let i = decided.length; i < committed.length; i++) decided.push(committed[i]!);
  if (!kv) {
    hold(cached === 0, "memory", () => `${where()} believes ${cached} tokens in a memory that it has not`);
    return;
  }
  if (view.busy && kv.length === 0) return; // the pass failed, and its end is not told yet
  const held = () => `${where()} believes ${cached} tokens, and ${kv.length} are there`;
  hold(kv.length >= cached, "memory", held);
  // Past the committed tokens the KV holds drafts, which may have been replaced since.
  const most = Math.min(cached, committed.length);
  for (let i = known.from(most); i < most; i++) {
    hold(kv[i] === committed[i], "memory", () => `${where()} has another token at ${i} in memory`);
  }
}

/** What the cloud has committed against what is right, or else against what the edge has. */
function checkAgreement(world: FuzzWorld, life: Life, view: SessionView, run: Run | undefined): void {
  if (!run) return;
  const { committed, promptTokens, identity } = view;
  const { expected, tokens, plan } = run;
  hold(promptTokens === plan.prompt.length, "agreement", () => `${run.name} has another prompt on the cloud`);
  const link = life.links.get(identity.connection)!;
  // A session whose link is dead may have gone another way by chance, where chance has a part.
  const truth = expected ? expected.tokens : world.routes.get(link)!.edge.link === link ? tokens : [];
  const known = seenById(life, identity.key);
  const common = Math.min(committed.length - promptTokens, truth.length);
  for (let i = known.agreed; i < common; i++) {
    const token = committed[promptTokens + i];
    hold(
      token === truth[i],
      "agreement",
      () => `${run.name} has ${truth[i]} at ${i}, and the cloud ${token}`,
    );
  }
  known.agreed = Math.max(known.agreed, common);
}

// The edge

export function checkEdge(world: FuzzWorld, edge: FuzzEdge): void {
  const { model, name, runs, link } = edge;
  const { waiting }: Inside = model;
  let open = 0;
  for (const run of runs) {
    if (!run.session || run.over) continue;
    open++;
    checkEdgeSession(run);
  }
  hold(waiting.length <= open, "bounds", () => `${name} has ${waiting.length} drafts waiting`);
  checkDrafter(edge);
  if (!link) return;
  const most = edge.plan.drafter.kind === "model" ? MOST_QUEUED_BYTES : MOST_QUEUED_BY_LOOKUP_BYTES;
  for (const way of ["up", "down"] as const) {
    const { queuedBytes } = link.pipes[way];
    const message = () => `${queuedBytes} bytes wait on link ${link.number} ${way}`;
    hold(queuedBytes <= most, "bounds", message);
  }
  const { life } = world.routes.get(link)!;
  if (life && !life.process.dead) checkCounterparts(world, edge, life);
}

/** The edge's news against what its cloud has. */
function checkCounterparts(world: FuzzWorld, edge: FuzzEdge, life: Life): void {
  for (const view of life.cloud.sessions()) {
    const run = world.runAt(life, view.identity.connection, view.identity.id);
    if (run && edge.runs.includes(run) && !view.ended) checkAgreement(world, life, view, run);
  }
}

function checkEdgeSession(run: Run): void {
  const session: Inside = run.session;
  const { pipeline, sampler } = session;
  const { sequence } = pipeline;
  const { committed, length, undecided, version, sent, promptLength } = sequence;
  const { name, tokens } = run;
  hold(session.events.length === 0, "bounds", () => `${name} has events left over`);
  const answer = committed - promptLength;
  hold(answer === tokens.length, "order", () => `${name} decided ${answer} tokens and told ${tokens.length}`);
  const known = seen(session);
  if (!known.isNews(committed, length, version, sent)) return;
  const { windowTokens, coupling } = run.plan.policy;
  hold(undecided <= windowTokens, "bounds", () => `${name} has ${undecided} drafts of ${windowTokens}`);
  const { segments } = pipeline.statistics;
  hold(
    segments.length <= windowTokens,
    "bounds",
    () => `${name} counts ${segments.length} segments in flight`,
  );
  for (let i = known.from(answer); i < answer; i++) {
    hold(
      sequence.at(promptLength + i) === tokens[i],
      "order",
      () => `${name} has changed token ${i} of its answer`,
    );
  }
  const kept = coupling === "rejection" ? undecided : 0;
  const { proposals } = sampler;
  hold(proposals.size === kept, "bounds", () => `${name} keeps ${proposals.size} q for ${undecided} drafts`);
  for (let i = committed; i < committed + kept; i++) {
    hold(proposals.has(i), "memory", () => `${name} does not know q of its draft at ${i}`);
  }
}

/** What the drafter's KV is believed to hold, against the KV and the sequence that it is for. */
function checkDrafter({ model, toy, name, runs }: FuzzEdge): void {
  const { cache, busy }: Inside = model;
  const { held, owner } = cache;
  const kv = drafterKv(toy);
  if (busy && kv.length === 0) return; // the feed failed, and its end is not told yet
  hold(held.length <= kv.length, "memory", () => `${name} believes ${held.length} of ${kv.length} tokens`);
  const run = runs.find(({ session, over }) => !over && (session as Inside)?.owner === owner);
  const sequence: Inside = (run?.session as Inside)?.pipeline.sequence;
  hold(!run || held.length <= sequence.length, "memory", () => `${name} holds more than ${run?.name} has`);
  const known = seen(cache);
  known.isNews(held.length, kv.length, owner);
  for (let i = known.from(held.length); i < held.length; i++) {
    const token = held.at(i);
    hold(token === kv.at(i), "memory", () => `${name}'s drafter has another token at ${i} than is believed`);
    if (run)
      hold(
        token === sequence.at(i),
        "memory",
        () => `${name}'s drafter holds what ${run.name} has not, at ${i}`,
      );
  }
}
