import { describe, expect, it } from "vitest";
import type { CloudUsage } from "../decoding/session.ts";
import { PipelineStatistics } from "../edge/core/statistics.ts";
import { runReport } from "../edge/report.ts";
import type { DraftSource } from "../sampling/propose.ts";
import { chatStatistics } from "./chat-statistics.ts";

const usage = (targetPasses: number): CloudUsage => ({
  ...{ promptTokens: 1, committedTokens: 2, targetPasses, targetRows: 3 },
  ...{ targetMs: 4, prefillPasses: 5, fedTokens: 6, evictions: 7, reusedTokens: 8 },
});

const answer = (given: Partial<PipelineStatistics>) => Object.assign(new PipelineStatistics(), given);

const FIRST = answer({
  ...{ startedMs: 1000, firstTokenMs: 1100, lastTokenMs: 2000, tokens: 10, accepted: 6, rejected: 2 },
  ...{ uplinkBytes: 100, downlinkBytes: 50, usage: usage(5) },
});
const SECOND = answer({
  ...{ startedMs: 5000, firstTokenMs: 5300, lastTokenMs: 8000, tokens: 30, accepted: 12, rejected: 4 },
  ...{ uplinkBytes: 300, downlinkBytes: 150, usage: usage(15) },
});

describe("several answers together", () => {
  it("are tokens over the time that was spent on them, and the mean time to the first", () => {
    expect(runReport("race", "", PipelineStatistics.together([FIRST, SECOND]))).toMatchObject({
      tokens: 40,
      tokensPerSecond: 10,
      timeToFirstTokenMs: 200,
      acceptanceRate: 0.75,
      targetPassesPerToken: 0.5,
      uplinkBytesPerToken: 10,
      downlinkBytesPerToken: 5,
    });
  });

  it("leave out an answer that never began from the time to the first token", () => {
    const silent = answer({ startedMs: 9000 });
    expect(runReport("race", "", PipelineStatistics.together([SECOND, silent])).timeToFirstTokenMs).toBe(300);
    expect(PipelineStatistics.together([silent]).firstTokenMs).toBe(-1);
  });

  it("have the drafts of each source", () => {
    const drafted = (source: DraftSource) => {
      const one = new PipelineStatistics();
      one.draftedAt(7, source);
      one.judgedAt(7, true);
      return one;
    };
    const { sources } = PipelineStatistics.together([drafted("lookup"), drafted("model"), drafted("lookup")]);
    expect(sources).toMatchObject({
      lookup: { drafted: 2, accepted: 2 },
      model: { drafted: 1, accepted: 1 },
    });
  });

  it("do not claim passes that were not reported", () => {
    expect(PipelineStatistics.together([FIRST, answer({ tokens: 5 })]).usage).toBeNull();
  });

  it("are one of them when there is one", () => {
    expect(runReport("race", "", PipelineStatistics.together([SECOND]))).toEqual(
      runReport("race", "", SECOND),
    );
  });
});

it("/stats shows the last answer beside the conversation", () => {
  const text = chatStatistics([
    { policy: "vanilla", seed: "7", statistics: FIRST },
    { policy: "race", seed: "8", statistics: SECOND },
  ]);
  expect(text).toMatch(/last answer +conversation, 2 answers\n/);
  expect(text).toMatch(/^policy +race +vanilla, race$/m);
  expect(text).toMatch(/^tokens +30 +40$/m);
  expect(text).toMatch(/^tokens\/s +10\.00 +10\.00$/m);
  expect(text).toMatch(/^time to first token, ms +300 +200$/m);
  expect(text).toMatch(/^drafts accepted, % +75\.0 +75\.0$/m);
  expect(text).toMatch(/^seed +8 *$/m);
});
