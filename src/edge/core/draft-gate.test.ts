import { describe, expect, it } from "vitest";
import { Purpose, toSeed, uniform } from "../../sampling/random.ts";
import { DraftGate, GateMeter } from "./draft-gate.ts";

/** A cloud and what drafts do to it: times of verdicts, ms. */
interface Way {
  /** a verdict without drafts, of one token */
  readonly silentMs: number;
  /** a verdict with drafts that commits several; one that commits a single token takes 1.4 times a silent one */
  readonly draftsMs: number;
  /** that it commits, in the mean, with drafts */
  readonly tokens: number;
}

interface Told {
  readonly tokens: number;
  readonly ms: number;
  /** of all tokens: while drafts were made */
  readonly open: number;
}

/** Verdicts with times that scatter by a fifth. */
class Story {
  readonly gate = new DraftGate();
  private readonly meter = new GateMeter(this.gate);
  private readonly seed: ReturnType<typeof toSeed>;
  private drawn = 0;
  private since = 0;

  constructor(seed: number) {
    this.seed = toSeed(seed);
  }

  /** @param until tokens, or what is asked after each verdict */
  go(way: Way, until: number | (() => boolean), most = 20_000): Told {
    const { gate } = this;
    let [tokens, ms, open] = [0, 0, 0];
    while (tokens < most && !(typeof until === "number" ? tokens >= until : until())) {
      const isOpen = gate.open;
      // The first drafts are there two verdicts after they were begun.
      this.since = isOpen ? this.since + 1 : 0;
      const drafted = isOpen && this.since > 2;
      if (drafted) this.meter.judged();
      const own = drafted ? this.share(way.tokens) : 1;
      const usualMs = !drafted ? way.silentMs : own === 1 ? 1.4 * way.silentMs : way.draftsMs;
      const took = usualMs * (0.8 + 0.4 * this.chance());
      this.meter.verdict(own, took);
      gate.checkIntegrity();
      tokens += own;
      ms += took;
      if (isOpen) open += own;
    }
    return { tokens, ms, open: open / tokens };
  }

  /** Whole numbers from 1 whose mean is that. */
  private share(mean: number): number {
    let tokens = 1;
    while (tokens < 12 && this.chance() < 1 - 1 / mean) tokens++;
    return tokens;
  }

  private chance(): number {
    return uniform(this.seed, Purpose.accept, this.drawn++, 0, 0);
  }
}

const SEEDS = Array.from({ length: 40 }, (_, i) => i);
const PAYS: Way = { silentMs: 40, draftsMs: 60, tokens: 2.2 };
const COSTS: Way = { silentMs: 8, draftsMs: 28, tokens: 2.2 };
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

describe("drafts", () => {
  it("are made nearly always where they pay", () => {
    const open = SEEDS.map((seed) => new Story(seed).go(PAYS, 5000).open);
    expect(median(open)).toBeGreaterThan(0.96);
    expect(Math.min(...open)).toBeGreaterThan(0.9);
  });

  it("are hardly ever given up where a verdict commits so many that silence cannot be faster", () => {
    for (const seed of SEEDS) {
      const story = new Story(seed);
      story.go({ silentMs: 40, draftsMs: 45, tokens: 7 }, 100);
      expect(story.go({ silentMs: 40, draftsMs: 45, tokens: 7 }, 3000).open).toBeGreaterThan(0.98);
    }
  });

  it("rest where they cost: 10,000 tokens are at least 0.98 as fast as without any", () => {
    const rates = SEEDS.map((seed) => {
      const { tokens, ms } = new Story(seed).go(COSTS, 10_000);
      return (tokens * COSTS.silentMs) / ms;
    });
    expect(median(rates)).toBeGreaterThan(0.98);
  });

  it("rest where they neither pay nor cost, for the energy's sake", () => {
    const open = SEEDS.map((seed) => {
      const story = new Story(seed);
      story.go({ silentMs: 10, draftsMs: 29, tokens: 2.2 }, 3000);
      return story.go({ silentMs: 10, draftsMs: 29, tokens: 2.2 }, 3000).open;
    });
    expect(median(open)).toBeLessThan(0.35);
  });

  it("are made within 100 tokens when they begin to pay, and rest within 100 when they no longer do", () => {
    const harm = { ...COSTS, draftsMs: 44 };
    const followed = SEEDS.map((seed) => {
      const story = new Story(seed);
      story.go(harm, 2000);
      let [wasOpen, run] = [0, 0];
      const settled = (open: boolean) => () => {
        run = story.gate.open === open ? run + 1 : 0;
        wasOpen++;
        return run >= 20;
      };
      const began = story.go(PAYS, settled(true)).tokens;
      story.go(PAYS, 1000);
      run = 0;
      const ended = story.go(harm, settled(false)).tokens;
      expect(wasOpen).toBeGreaterThan(0);
      return { began, ended };
    });
    // Less the verdicts that show that it stays so: 20 of some 2.2 tokens, and 20 of one.
    expect(median(followed.map(({ began }) => began - 44))).toBeLessThan(100);
    expect(median(followed.map(({ ended }) => ended - 20))).toBeLessThan(100);
    // Where chance has it the other way at first, a rest goes on until its next try.
    expect(Math.max(...followed.map(({ began, ended }) => Math.max(began, ended)))).toBeLessThan(1200);
  });

  it("are made within 100 tokens where they came too late, and passes take longer now", () => {
    const followed = SEEDS.map((seed) => {
      const story = new Story(seed);
      // A verdict brings one token, drafts or not: none is there in time.
      story.go({ silentMs: 5, draftsMs: 5, tokens: 1 }, 1500);
      story.go({ silentMs: 5, draftsMs: 5, tokens: 1 }, () => !story.gate.open);
      let run = 0;
      return story.go(PAYS, () => {
        run = story.gate.open ? run + 1 : 0;
        return run >= 20;
      }).tokens;
    });
    // Less 20 verdicts of some 2.2 tokens, which show that it stays so.
    expect(median(followed.map((tokens) => tokens - 44))).toBeLessThan(100);
  });

  /** Sessions in turns, each with a verdict of many tokens in flight when drafts end. @param settles each settles by itself */
  function manySessions(count: number, settles: boolean): number {
    const gate = new DraftGate();
    const meters = Array.from({ length: count }, () => new GateMeter(gate));
    const inFlight = new Array<number>(count).fill(0);
    const chance = (i: number) => uniform(toSeed(3), Purpose.accept, i, 0, 0);
    let open = 0;
    for (let i = 0; i < 40_000; i++) {
      const at = i % count;
      if (gate.open) inFlight[at] = 6;
      const drafted = gate.open || inFlight[at]!-- > 0;
      if (drafted) meters[at]!.judged();
      // Drafts cost: two tokens in the mean take 21 ms, where two passes would take 16.
      const tokens = drafted && chance(i) < 0.5 ? 3 : 1;
      const ms = (!drafted ? 8 : tokens === 1 ? 12 : 30) * (0.9 + 0.2 * chance(-i - 1));
      if (settles) meters[at]!.verdict(tokens, ms);
      else gate.verdict(tokens, ms, true, true);
      if (gate.open) open++;
    }
    return open / 40_000;
  }

  it("rest where they cost many sessions; control: less so where sessions do not settle by themselves", () => {
    const counts = [8, 16, 32, 64, 128];
    const open = (settles: boolean) => counts.map((count) => manySessions(count, settles));
    const [settled, unsettled] = [open(true), open(false)];
    expect(settled[2]).toBeLessThan(0.1);
    expect(Math.max(...settled)).toBeLessThan(0.15);
    const sum = (shares: number[]) => shares.reduce((a, b) => a + b, 0);
    expect(sum(unsettled)).toBeGreaterThan(2 * sum(settled));
  });

  it("control: a gate that is told nothing of time does not rest where they cost", () => {
    const gate = new DraftGate();
    const meter = new GateMeter(gate);
    for (let i = 0; i < 5000; i++) {
      meter.judged();
      meter.verdict(2, -1);
    }
    // It waits for a rate that never comes.
    expect(gate.open).toBe(true);
  });
});
