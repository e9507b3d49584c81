import { afterEach, describe, expect, it, vi } from "vitest";
import { Registry } from "../../src/cloud/core/registry.ts";
import { RequestHandler } from "../../src/cloud/core/request-handler.ts";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { CachedSequence } from "../../src/cloud/passes/cached-sequence.ts";
import { KvCache } from "../../src/cloud/passes/kv-cache.ts";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { Connection } from "../../src/edge/connection.ts";
import { RejectionSampler } from "../../src/edge/core/residual.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import { LookupDrafter, TwoDrafters } from "../../src/edge/drafters/lookup-drafter.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { SpeculativeKvCache } from "../../src/edge/drafters/speculative-kv-cache.ts";
import { EdgeDriver } from "../../src/edge/driver.ts";
import { Links } from "../../src/edge/links.ts";
import { Broken, type Invariant } from "../fuzz/hold.ts";
import { trySeed } from "../fuzz/search.ts";

/** The fault search is worth what it catches: for every kind of invariant, a system with one thing broken. */

const SEEDS = 2000;

/** What the search says first of this kind, or what it says otherwise. */
function found(kind: Invariant): string {
  const others = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      trySeed(seed);
    } catch (error) {
      const { cause, message } = error as Error;
      if (cause instanceof Broken && cause.invariant === kind) return message;
      others.add(cause instanceof Broken ? cause.invariant : `${cause}`);
    }
  }
  return `${SEEDS} seeds, and only ${[...others].join(", ") || "nothing"}`;
}

// biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
type Inside = any;
type Instead = (self: Inside, real: (...args: Inside[]) => Inside, args: Inside[]) => unknown;

/** The method of every object of this type does something else. */
function sabotage(type: { readonly prototype: Inside }, method: string, instead: Instead): void {
  const real = type.prototype[method];
  vi.spyOn(type.prototype, method).mockImplementation(function (this: Inside, ...args: Inside[]) {
    return instead(this, (...given) => real.apply(this, given), args);
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Each: who, which of its methods, what it does instead, and what the search has to say. */
type Control = readonly [
  what: string,
  type: { readonly prototype: unknown },
  method: string,
  Instead,
  says: RegExp,
];

const RESUMING: readonly Control[] = [
  [
    "a resumption without the lineage of its drafts",
    EdgeSession,
    "resume",
    (self, real) => {
      real();
      for (const [i, effect] of self.out.entries()) {
        if (effect.frame?.type !== "open") continue;
        const resume = { ...effect.frame.resume, lineage: 0 };
        self.out[i] = { ...effect, frame: { ...effect.frame, resume } };
      }
    },
    /outcome: .* bad_draft, lineage \d+ starts/,
  ],
  [
    "undecided drafts that a resumption does not tell again",
    EdgeSession,
    "resume",
    (self, real) => {
      if (self.sequence.undecided > 0) self.rollback(self.sequence.committed);
      real();
    },
    /text: .* would have been right/,
  ],
  [
    "a draw that starts over with a fresh draft",
    RejectionSampler,
    "putBack",
    (self) => {
      self.replacement = null;
      return null;
    },
    /text: .* would have been right/,
  ],
  [
    "an old epoch that is taken for the new one",
    RequestHandler,
    "refusal",
    (_, real, args) => {
      const refusal = real(...args);
      return refusal?.code === "superseded" ? null : refusal;
    },
    /outcome: .* never ends/,
  ],
  [
    "an orphan that goes on beside the session that resumed it",
    Registry,
    "resumable",
    () => undefined,
    /integrity: .* goes on beside the one that resumed it/,
  ],
  [
    "a cloud that takes the answer so far for a part of the prompt",
    RequestHandler,
    "open",
    (_, real, [id, frame, ...rest]) => {
      const { resume, tokens } = frame;
      real(id, resume ? { ...frame, resume: { ...resume, promptTokens: tokens.length } } : frame, ...rest);
    },
    /agreement: .* has another prompt on the cloud/,
  ],
  [
    "a token that is told again after a resumption",
    EdgeSession,
    "resume",
    (self, real) => {
      real();
      const position = self.sequence.committed - 1;
      if (position < self.sequence.promptLength) return;
      self.out.push({ kind: "emit", position, token: self.sequence.at(position), origin: "target" });
    },
    /order: .* is told position \d+, and \d+ is next/,
  ],
  [
    "an edge that gives up when its link breaks",
    Links,
    "tryAgain",
    (self) => self.fail({ code: "connection_lost", reason: "the link broke", retryAfterMs: 0 }),
    /outcome: .* fails for no reason: connection_lost/,
  ],
  [
    "an edge that spins while its link is down",
    EdgeSession,
    "goOn",
    (self, real, args) => {
      real(...args);
      const atMs = self.truncateAtMs();
      const late = self.suspended && self.sequence.unsentDrafts > 0 && Number.isFinite(atMs);
      if (late) self.out.push({ kind: "wake", atMs });
    },
    /bounds: still busy/,
  ],
];

const DECIDING: readonly Control[] = [
  [
    "a verdict that the edge drops",
    EdgeSession,
    "verdict",
    (self, real, args) => {
      if (args[0].first % 7 !== 6 || self.dropped) real(...args);
      else self.dropped = true;
    },
    /outcome: .*(bad_verdict|never ends)/,
  ],
  [
    "a correction that is drawn from p",
    RejectionSampler,
    "reject",
    (_, real, args) => {
      const { kind, ids } = args[2];
      return kind === "sparse" ? { kind: "token", token: ids[0] } : real(...args);
    },
    /text: .* would have been right/,
  ],
  [
    "a cloud that decides another correction than the edge",
    DraftedSequence,
    "commit",
    (self, real, [token]) => {
      const correction = self.pending > 0 && self.draft(0).q === 0;
      if (correction) self.dropPending();
      real(correction ? (token + 1) % self.vocabularySize : token);
    },
    /agreement: .* and the cloud \d+/,
  ],
  [
    "a session that goes on after its end",
    EdgeSession,
    "finish",
    (self, real, args) => {
      real(...args);
      self.finished = false;
    },
    /integrity: .* goes on after its end/,
  ],
];

const MEMORY: readonly Control[] = [
  [
    "a target whose memory is not rolled back",
    CachedSequence,
    "dropPending",
    (self, real) => {
      const { cached } = self;
      real();
      self.holds(Math.min(cached, self.committed + 1));
    },
    /integrity: .* the KV (is believed to hold|holds)/,
  ],
  [
    "a session that does not know of its eviction",
    PassSession,
    "evicted",
    () => {},
    /integrity: .* has KV and no slot/,
  ],
  [
    "a drafter whose memory is not rolled back",
    SpeculativeKvCache,
    "rollback",
    () => {},
    /integrity: .* the KV holds (\d+ of|another token)/,
  ],
  [
    "a drafter that takes another session's memory for this one's",
    SpeculativeKvCache,
    "missingFrom",
    (self, real, [owner, prefix]) => {
      if (self.owner >= 0) self.owner = owner;
      return real(owner, prefix);
    },
    /integrity: .* the KV holds (\d+ of|another token)/,
  ],
];

const BOUNDS: readonly Control[] = [
  [
    "an edge that drafts past its window",
    EdgeSession,
    "mayDraft",
    (self, real) => {
      const { sequence, drafting, yielded } = self;
      if (sequence.undecided < self.settings.policy.windowTokens) return real();
      return sequence.undecided > 0 && !drafting && !yielded && sequence.draftsStop() === null;
    },
    /integrity: .* there are \d+ drafts, and the window has/,
  ],
  [
    "an edge that pings without measure",
    Connection,
    "timer",
    (_, real, [afterMs, callback]) => real(afterMs === 5000 ? 4 : afterMs, callback),
    /bounds: \d+ bytes wait/,
  ],
  [
    "a cloud that runs ahead of an edge that hears nothing",
    PassSession,
    "work",
    (self, real, args) => {
      const { edgeCommitted } = self;
      self.edgeCommitted = self.sequence.committed;
      const work = real(...args);
      self.edgeCommitted = edgeCommitted;
      return work;
    },
    /integrity: .* tokens ahead of its edge/,
  ],
];

/** What an edge keeps of a session that is over, or of a draft that is. */
const LEAKS: readonly Control[] = [
  [
    "an edge that keeps q of drafts that are committed",
    RejectionSampler,
    "committed",
    () => {},
    /integrity: .* q are kept for/,
  ],
  [
    "an edge that keeps q of drafts that are discarded",
    RejectionSampler,
    "rollback",
    () => {},
    /integrity: .* q are kept for/,
  ],
  [
    "a drafter that drafts for sessions that are over",
    ParallelDrafter,
    "interrupt",
    (self, _, [owner, length]) => self.cache.rollback(owner, length),
    /integrity: .* a draft is wanted for sequence \d+, which is over/,
  ],
  [
    "a drafter that remembers sessions that are over",
    TwoDrafters,
    "interrupt",
    (_, real, [owner, length]) => real(owner, Math.min(length, 1000)),
    /integrity: .* sequence \d+(?: is remembered)?, which is over/,
  ],
  [
    "prompt lookup that keeps the texts of sessions that are over",
    LookupDrafter,
    "interrupt",
    (_, real, [owner, length]) => real(owner, Math.min(length, 1000)),
    /integrity: .* prompt lookup keeps sequence \d+, which is over/,
  ],
  [
    "a session whose timer outlives it",
    EdgeDriver,
    "finish",
    (self, real, args) => {
      const { cancelWake } = self;
      self.cancelWake = null;
      real(...args);
      self.cancelWake = cancelWake;
    },
    /integrity: .* a timer outlives its session/,
  ],
];

const REST: readonly Control[] = [
  [
    "a cloud that keeps the memory of sessions that are gone",
    KvCache,
    "release",
    () => {},
    /integrity: .* slot \d+ is kept for session \d+/,
  ],
  [
    "a cloud that keeps the rows of sessions that are gone",
    PassSession,
    "releaseRow",
    () => {},
    /integrity: .* rows are held for/,
  ],
  [
    "a cloud that keeps the sessions of a link that is gone",
    RequestHandler,
    "disconnected",
    (self, _, [id]) => {
      self.helloByMs.delete(id);
    },
    /integrity: .* (is left with|outlives its connection)/,
  ],
  [
    "a cloud that keeps the secrets of sessions that are gone",
    Registry,
    "remove",
    (self, real, [session, ...how]) => {
      real(session, ...how);
      const { resumeKey } = session.identity;
      if (resumeKey !== null) self.byResumeKey.set(resumeKey, session);
    },
    /integrity: .* secret of session \d+ outlives it/,
  ],
];

describe.each([
  ["resuming", RESUMING],
  ["deciding", DECIDING],
  ["memory", MEMORY],
  ["bounds", BOUNDS],
  ["leaks of the edge", LEAKS],
  ["rest", REST],
] as const)("the search catches, about %s:", (_, controls) => {
  it.each(controls)("%s", (_what, type, method, instead, says) => {
    sabotage(type, method, instead);
    const kind = /^\W*(\w+)/.exec(says.source)![1] as Invariant;
    expect(found(kind)).toMatch(says);
  });
});
