import type { SessionView } from "../../src/cloud/core/machine.ts";
import type { FuzzEdge } from "./edge.ts";
import { hold, holdIntegrity } from "./hold.ts";
import type { Run } from "./run.ts";
import type { FuzzServer, Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/** What holds of a cloud after every event. Only what an event can have changed is looked at again. */

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

const seenOfLife = new WeakMap<Life, Map<number, Seen>>();

/** @param key of a session of this life */
function seenById(life: Life, key: number): Seen {
  const ofLife = seenOfLife.get(life) ?? new Map<number, Seen>();
  seenOfLife.set(life, ofLife);
  const known = ofLife.get(key) ?? new Seen();
  ofLife.set(key, known);
  return known;
}

// The cloud

export function checkServer(world: FuzzWorld, server: FuzzServer): void {
  const { life, name } = server;
  if (!life) return;
  holdIntegrity(name, () => life.cloud.checkIntegrity());
  for (const view of life.cloud.sessions()) if (!view.ended) checkCloudSession(world, server, life, view);
}

function checkCloudSession(world: FuzzWorld, server: FuzzServer, life: Life, view: SessionView): void {
  const { identity, committed, cached, slot } = view;
  const kv = slot < 0 || !life.toy ? null : life.toy.held(slot);
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

// The edge's news

/** What an edge knows now against what its cloud has. */
export function checkCounterparts(world: FuzzWorld, edge: FuzzEdge): void {
  const life = edge.link && world.routes.get(edge.link)!.life;
  if (!life || life.process.dead) return;
  for (const view of life.cloud.sessions()) {
    const run = world.runAt(life, view.identity.connection, view.identity.id);
    if (run && edge.runs.includes(run) && !view.ended) checkAgreement(world, life, view, run);
  }
}
