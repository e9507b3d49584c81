import { Registry } from "../../src/cloud/core/registry.ts";
import { RequestHandler } from "../../src/cloud/core/request-handler.ts";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import { Gateway } from "../../src/cloud/live/gateway.ts";
import { LiveSession } from "../../src/cloud/live/session.ts";
import { LiveSessions } from "../../src/cloud/live/sessions.ts";
import { CachedSequence } from "../../src/cloud/passes/cached-sequence.ts";
import { KvCache } from "../../src/cloud/passes/kv-cache.ts";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { PassSessions } from "../../src/cloud/passes/sessions.ts";
import { Verifier } from "../../src/cloud/passes/verifier.ts";
import { FairShares } from "../../src/cloud/trust/fair-shares.ts";
import { Tenants } from "../../src/cloud/trust/tenants.ts";
import { Connection } from "../../src/edge/connection.ts";
import { Adaptation } from "../../src/edge/core/adaptation.ts";
import { DraftGate } from "../../src/edge/core/draft-gate.ts";
import { RejectionSampler } from "../../src/edge/core/residual.ts";
import { EdgeSequence } from "../../src/edge/core/sequence.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { PromptLookup } from "../../src/edge/drafters/lookup.ts";
import { LookupDrafter, TwoDrafters } from "../../src/edge/drafters/lookup-drafter.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { SpeculativeKvCache } from "../../src/edge/drafters/speculative-kv-cache.ts";
import { EdgeDriver } from "../../src/edge/driver.ts";
import { Edge } from "../../src/edge/edge.ts";
import { Links } from "../../src/edge/links.ts";
import { LocalOpener } from "../../src/edge/local-opener.ts";
import { RemoteOpener, Sessions } from "../../src/edge/opener.ts";
import type { Inside, Leak } from "./leaks.ts";

/** One planted leak or more for each stateful owner; test/fuzz/owners.ts says which owners there are. */

const EDGE: readonly Leak[] = [
  {
    owner: EdgeSession,
    what: "it goes on after its end",
    world: "pass",
    method: "finish",
    instead: (self, real, args, own) => {
      real(...args);
      self[own("finished")] = false;
    },
  },
  {
    owner: EdgeSession,
    what: "a draft is still expected after the end",
    world: "pass",
    method: "finish",
    instead: (self, real, args, own) => {
      const drafting = self[own("drafting")];
      real(...args);
      self[own("drafting")] = drafting;
    },
  },
  {
    owner: EdgeSequence,
    what: "a rollback forgets that drafts were sent, and not how many",
    world: "pass",
    method: "rollback",
    instead: (self, real, args) => {
      const { sent } = self;
      const discarded = real(...args);
      self.sent = sent;
      return discarded;
    },
  },
  {
    owner: RejectionSampler,
    what: "q of committed drafts is kept",
    world: "pass",
    method: "committed",
    instead: () => {},
  },
  {
    owner: Adaptation,
    what: "the window is counted too wide",
    world: "pass",
    method: "limits",
    instead: (_, real) => {
      const { segmentTokens, windowTokens } = real();
      return { segmentTokens, windowTokens: windowTokens + 1 };
    },
  },
  {
    owner: DraftGate,
    what: "a way is never given up",
    world: "pass",
    method: "verdict",
    instead: (self, real, args, own) => {
      real(...args);
      self[own("leftTokens")] = 1e9;
    },
  },
  {
    owner: PipelineStatistics,
    what: "segments are kept as in flight when they were judged",
    world: "pass",
    method: "judgedThrough",
    instead: () => {},
  },
  {
    owner: EdgeDriver,
    what: "a timer outlives its session",
    world: "pass",
    method: "finish",
    instead: (self, real, args, own) => {
      const cancelWake = self[own("cancelWake")];
      self[own("cancelWake")] = null;
      real(...args);
      self[own("cancelWake")] = cancelWake;
    },
  },
  {
    owner: EdgeDriver,
    what: "the drafter is not told of the end",
    world: "pass",
    method: "finish",
    instead: (self, real, args, own) => {
      const options = self[own("options")];
      self[own("options")] = { ...options, drafter: null };
      real(...args);
      self[own("options")] = options;
    },
  },
  {
    owner: Sessions,
    what: "those that are over are kept",
    world: "pass",
    method: "start",
    instead: (self, real, args, own) => {
      self[own("byId")].delete = () => false;
      return real(...args);
    },
  },
  {
    owner: RemoteOpener,
    what: "sessions keep a link that is gone",
    world: "pass",
    method: "down",
    instead: () => {},
  },
  {
    owner: Links,
    what: "the cloud is not watched while something is expected of it",
    world: "pass",
    method: "noteExpected",
    instead: () => {},
  },
  {
    owner: LocalOpener,
    what: "sessions outlive it",
    world: "answers",
    method: "close",
    instead: (self, _, _args, own) => {
      self[own("closed")] = true;
    },
  },
  {
    owner: Edge,
    what: "answers that are over are kept",
    world: "answers",
    method: "answer",
    instead: (self, real, args, own) => {
      self[own("running")].delete = () => false;
      return real(...args);
    },
  },
  {
    owner: Connection,
    what: "pings go on when nothing is expected any more",
    world: "pass",
    method: "expect",
    instead: (self, real, [something], own) => {
      if (something) real(something);
      else self[own("expecting")] = false;
    },
  },
];

const DRAFTERS: readonly Leak[] = [
  {
    owner: ParallelDrafter,
    what: "drafts are made for sessions that are over",
    world: "pass",
    method: "interrupt",
    instead: (self, _, [owner, length], own) => self[own("cache")].rollback(owner, length),
  },
  {
    owner: SpeculativeKvCache,
    what: "the KV is believed to hold what was rolled back",
    world: "pass",
    method: "rollback",
    instead: () => {},
  },
  {
    owner: LookupDrafter,
    what: "texts of sessions that are over are kept",
    world: "pass",
    method: "interrupt",
    instead: (_, real, [owner, length]) => real(owner, Math.min(length, 2000)),
  },
  {
    owner: TwoDrafters,
    what: "rejections of sessions that are over are kept",
    world: "pass",
    method: "interrupt",
    instead: (self, real, [owner, length], own) => {
      const at = self[own("rejectedAt")].get(owner);
      real(owner, length);
      if (at !== undefined) self[own("rejectedAt")].set(owner, at);
    },
  },
  {
    owner: PromptLookup,
    what: "discarded tokens are kept",
    world: "pass",
    method: "truncate",
    instead: () => {},
  },
];

const CLOUD: readonly Leak[] = [
  {
    owner: Registry,
    what: "secrets of sessions that are over are kept",
    world: "pass",
    method: "remove",
    instead: (self, real, [session, ...how], own) => {
      real(session, ...how);
      const { resumeKey } = session.identity;
      if (resumeKey !== null) self[own("byResumeKey")].set(resumeKey, session);
    },
  },
  {
    owner: RequestHandler,
    what: "what was agreed with edges that are gone is kept",
    world: "pass",
    method: "disconnected",
    instead: (self, real, [id, ...rest], own) => {
      const peer = self[own("peers")].get(id);
      real(id, ...rest);
      if (peer) self[own("peers")].set(id, peer);
    },
  },
  {
    owner: Tenants,
    what: "whose connections were is kept past their end",
    world: "pass",
    method: "disconnected",
    instead: () => {},
  },
  {
    owner: FairShares,
    what: "principals are kept for sessions that are over",
    world: "pass",
    method: "leave",
    instead: () => {},
  },
  {
    owner: DraftedSequence,
    what: "q of committed drafts is kept",
    world: "pass",
    method: "commit",
    instead: (self, real, args, own) => {
      const first = self.pending > 0 ? self[own("pendingQ")][0] : undefined;
      real(...args);
      if (first !== undefined) self[own("pendingQ")].unshift(first);
    },
  },
  {
    owner: Cloud,
    what: "links that are gone are kept",
    world: "pass",
    method: "acceptLink",
    instead: (self, real, [link], own) => {
      self[own("links")].delete = () => false;
      return real(link);
    },
  },
  {
    owner: PassSession,
    what: "held rows are not released",
    world: "pass",
    method: "releaseRow",
    instead: () => {},
  },
  {
    owner: PassSessions,
    what: "what connections that are gone taught of their drafts is kept",
    world: "pass",
    method: "forget",
    instead: () => {},
  },
  {
    owner: KvCache,
    what: "slots of sessions that are over are kept",
    world: "pass",
    method: "release",
    instead: () => {},
  },
  {
    owner: CachedSequence,
    what: "the KV is believed to hold what was rolled back",
    world: "pass",
    method: "dropPending",
    instead: (self, real, _, own) => {
      const kept = self[own("kept")];
      real();
      self[own("kept")] = kept;
    },
  },
  {
    owner: Verifier,
    what: "rows of the engine are not released",
    world: "pass",
    method: "perform",
    instead: (_, real, [effect]) => {
      if (effect.kind !== "releaseRow") real(effect);
    },
  },
];

const LIVE: readonly Leak[] = [
  {
    owner: LiveSession,
    what: "its run is not cancelled at its end",
    world: "live",
    method: "end",
    instead: (_, real, [reason, out]) => {
      const before = out.length;
      real(reason, out);
      const said = out.splice(before);
      out.push(...said.filter(({ effect }: Inside) => effect?.kind !== "cancelRun"));
    },
  },
  {
    owner: LiveSessions,
    what: "sessions that are over are kept",
    world: "live",
    method: "dropEnded",
    instead: () => {},
  },
  {
    owner: Gateway,
    what: "runs of the engine are not cancelled",
    world: "live",
    method: "perform",
    instead: (_, real, [effect]) => {
      if (effect.kind !== "cancelRun") real(effect);
    },
  },
];

export const LEAKS: readonly Leak[] = [...EDGE, ...DRAFTERS, ...CLOUD, ...LIVE];
