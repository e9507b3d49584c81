import type { FuzzEdge } from "./edge.ts";
import { hold, holdIntegrity } from "./hold.ts";
import type { Run } from "./run.ts";

/**
 * What holds on an edge after every event: what its parts check of themselves, and what only an observer can
 * compare (what was told, what the model really holds, what waits on the link). No private field is read.
 */

/** Bytes that may wait in one direction of a link: a few windows, verdicts and pings of a few short sessions. */
const MOST_QUEUED_BYTES = 64 * 1024;
/**
 * Prompt lookup takes no time: when verdicts come all at once, after a silence, each that differs may have a whole
 * window drafted anew. 256 verdicts, 128 frames of 28 bytes.
 */
const MOST_QUEUED_BY_LOOKUP_BYTES = 1024 * 1024;

export function checkEdge(edge: FuzzEdge): void {
  const { client, drafter, name, runs } = edge;
  const open = runs.filter((run) => run.session && !run.over);
  holdIntegrity(name, () => client?.checkIntegrity());
  holdIntegrity(name, () => drafter.checkIntegrity(sequencesOf(open)));
  for (const run of open) checkTold(run);
  for (const { session, over } of runs)
    if (session && over) holdIntegrity(name, () => session.checkIntegrity());
  checkKv(edge);
  checkQueues(edge);
}

/** An edge whose sessions are all over, and that has said goodbye. */
export function checkEdgeAtRest({ client, model, drafter, name, link }: FuzzEdge): void {
  holdIntegrity(name, () => client?.checkIntegrity());
  holdIntegrity(name, () => drafter.checkIntegrity(new Map()));
  hold(!model.view().feeding, "rest", () => `${name}'s drafter never ends`);
  hold(!link?.edge.isOpen, "rest", () => `${name} is left with a link`);
}

function sequencesOf(open: readonly Run[]): Map<number, Int32Array> {
  return new Map(open.map(({ session }) => [session!.owner, session!.view().tokens]));
}

/** What is committed is what its user was told. */
function checkTold({ name, session, tokens }: Run): void {
  const { committed, promptLength, tokens: held } = session!.view();
  const answer = committed - promptLength;
  hold(
    answer === tokens.length,
    "order",
    () => `${name} committed ${answer} tokens and told ${tokens.length}`,
  );
  for (let i = 0; i < answer; i++) {
    hold(held[promptLength + i] === tokens[i], "order", () => `${name} has changed token ${i} of its answer`);
  }
}

/** What the drafter believes of its KV against the KV. */
function checkKv({ model, toy, name }: FuzzEdge): void {
  const { feeding, held } = model.view();
  const kv = toy.held();
  if (feeding && kv.length === 0) return; // the feed failed, and its end is not told yet
  const { tokens } = held;
  hold(
    tokens.length <= kv.length,
    "memory",
    () => `${name} believes ${tokens.length} of ${kv.length} tokens`,
  );
  for (let i = 0; i < tokens.length; i++) {
    const same = tokens[i] === kv[i];
    hold(same, "memory", () => `${name}'s drafter has another token at ${i} than is believed`);
  }
}

function checkQueues({ link, plan }: FuzzEdge): void {
  if (!link) return;
  const most = plan.drafter.kind === "model" ? MOST_QUEUED_BYTES : MOST_QUEUED_BY_LOOKUP_BYTES;
  for (const way of ["up", "down"] as const) {
    const { queuedBytes } = link.pipes[way];
    hold(queuedBytes <= most, "bounds", () => `${queuedBytes} bytes wait on link ${link.number} ${way}`);
  }
}
