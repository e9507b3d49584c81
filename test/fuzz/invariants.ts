import type { FuzzEdge } from "./edge.ts";
import { targetKv } from "./engines.ts";
import { hold } from "./hold.ts";
import type { Run } from "./run.ts";
import type { FuzzServer, Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/**
 * What holds after every event, looked up in the real objects by names that are otherwise nobody else's business.
 * Only what an event can have changed is looked at again.
 */

// biome-ignore lint/suspicious/noExplicitAny: an inspection looks at what is private
export type Inside = any;

/** As the cloud has it: how far it decodes by itself past what the edge has read. */
const RUN_AHEAD_TOKENS = 256;

const RECENT_TOKENS = 32;

/** What was seen of an object at the last look: equal numbers mean that there is nothing new to compare. */
class Seen {
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

// The cloud

export function checkServer(world: FuzzWorld, server: FuzzServer): void {
  const { life, name } = server;
  if (!life) return;
  const cloud: Inside = life.cloud;
  const { table, helloByMs, limits } = cloud.handler;
  hold(cloud.events.length === 0, "bounds", () => `${name} has events left over`);
  hold(table.byKey.size <= limits.sessions, "bounds", () => `${name} has ${table.byKey.size} sessions`);
  const connections = () => `${name} has ${cloud.links.size} links and ${helloByMs.size} connections`;
  hold(cloud.links.size === helloByMs.size, "rest", connections);
  let held = 0;
  for (const session of table.byKey.values()) {
    if (session.rowHeld) held++;
    checkCloudSession(world, server, life, session);
  }
  const { rows } = cloud.verifier;
  hold(held === rows.size, "rest", () => `${name} holds ${rows.size} rows for ${held} sessions`);
  hold(table.leaving.size === 0 || table.members !== null, "rest", () => `${name} waits for no pass`);
  checkOwners(name, table);
}

function checkOwners(name: string, table: Inside): void {
  for (const { owner } of table.kv.slots) {
    const known = owner === null || table.byKey.has(owner) || table.leaving.has(owner);
    hold(known, "rest", () => `${name} keeps a sequence for session ${owner}, which is gone`);
  }
  for (const key of table.bySecret.values()) {
    hold(table.byKey.has(key), "rest", () => `${name} keeps the secret of session ${key}, which is gone`);
  }
}

function checkCloudSession(world: FuzzWorld, server: FuzzServer, life: Life, session: Inside): void {
  const { sequence, settings, identity } = session;
  const { committed, length, cached, pending } = sequence;
  const { table } = (life.cloud as Inside).handler;
  const slot = table.kv.sequenceOf(identity.key);
  const kv = slot < 0 ? null : targetKv(life.toy)[slot]!;
  const known = seen(session);
  const run = world.runAt(life, identity.connection, identity.id);
  checkAgreement(world, life, session, run);
  const alone = identity.secret === null || table.bySecret.get(identity.secret) === identity.key;
  hold(alone, "agreement", () => `the session of ${run?.name} is there twice`);
  if (!known.isNews(committed, length, cached, slot, kv?.length ?? -1, sequence.lineage)) return;
  const where = () => `${server.name}'s session of ${run?.name}`;
  const most = settings.policy.windowTokens + 1;
  hold(pending <= most, "bounds", () => `${where()} has ${pending} drafts pending, and ${most} is the most`);
  const ahead = committed - session.edgeCommitted;
  hold(ahead <= RUN_AHEAD_TOKENS + most, "bounds", () => `${where()} is ${ahead} tokens ahead of its edge`);
  const { decided } = known;
  hold(committed >= decided.length, "order", () => `${where()} has taken back a token`);
  for (let i = known.from(decided.length); i < decided.length; i++) {
    hold(sequence.tokens.at(i) === decided[i], "order", () => `${where()} has changed position ${i}`);
  }
  for (let i = decided.length; i < committed; i++) decided.push(sequence.tokens.at(i));
  if (!kv) {
    hold(cached === 0, "memory", () => `${where()} believes ${cached} tokens in a memory that it has not`);
    return;
  }
  if (session.inPass && kv.length === 0) return; // the pass failed, and its end is not told yet
  hold(
    kv.length >= cached,
    "memory",
    () => `${where()} believes ${cached} tokens, and ${kv.length} are there`,
  );
  for (let i = known.from(cached); i < cached; i++) {
    hold(
      kv.at(i) === sequence.tokens.at(i),
      "memory",
      () => `${where()} has another token at ${i} in memory`,
    );
  }
}

/** What the cloud has decided against what is right, or else against what the edge has. */
function checkAgreement(world: FuzzWorld, life: Life, session: Inside, run: Run | undefined): void {
  if (!run) return;
  const { sequence, promptLength, identity } = session;
  const { expected, tokens, plan } = run;
  hold(promptLength === plan.prompt.length, "agreement", () => `${run.name} has another prompt on the cloud`);
  const link = life.links.get(identity.connection)!;
  // A session whose link is dead may have gone another way by chance, where chance has a part.
  const truth = expected ? expected.tokens : world.routes.get(link)!.edge.link === link ? tokens : [];
  const agreed = agreedOf.get(session) ?? 0;
  const common = Math.min(sequence.committed - promptLength, truth.length);
  for (let i = agreed; i < common; i++) {
    const token = sequence.tokens.at(promptLength + i);
    hold(
      token === truth[i],
      "agreement",
      () => `${run.name} has ${truth[i]} at ${i}, and the cloud ${token}`,
    );
  }
  agreedOf.set(session, Math.max(agreed, common));
}

/** Tokens of the answer that were compared. */
const agreedOf = new WeakMap<object, number>();

// The edge's news

/** What an edge knows now against what its cloud has. */
export function checkCounterparts(world: FuzzWorld, edge: FuzzEdge): void {
  const life = edge.link && world.routes.get(edge.link)!.life;
  if (!life || life.process.dead) return;
  const { table } = (life.cloud as Inside).handler;
  for (const session of table.byKey.values()) {
    const run = world.runAt(life, session.identity.connection, session.identity.id);
    if (run && edge.runs.includes(run)) checkAgreement(world, life, session, run);
  }
}
