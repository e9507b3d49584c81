import { afterEach, describe, expect, it, vi } from "vitest";
import { ResidualDraw } from "../../src/sampling/rejection.ts";
import { ALPHA, allWorldLines, readJson, readLines } from "../golden/command.ts";
import { DRAWS_FILE, type Draws, goodnessOfFit, sameDistribution, sampleDraws } from "../golden/draws.ts";
import { GOLDEN_SEEDS, WORLDS_FILE, worldDifferences, worldLine } from "../golden/worlds.ts";

/**
 * The sessions of the fault search say what they said in release 0.1: the same text where it is determined, texts of
 * the same distribution elsewhere. `npm run golden` compares too, and makes the tables anew.
 */

const golden = readLines(WORLDS_FILE);

describe("determined texts", () => {
  it(`are those of the table, for each of ${GOLDEN_SEEDS} seeds`, () => {
    expect(golden).toHaveLength(GOLDEN_SEEDS);
    const { plans, texts } = worldDifferences(allWorldLines(), golden);
    const help = "draw what is new in a plan after all that was there, or from random numbers of its own";
    expect(plans, `seeds whose plans are others than they were: ${help}`).toEqual([]);
    expect(texts, "seeds that have other texts than they had").toEqual([]);
    // Most sessions have one: the table says something.
    const sum = (field: number) => golden.reduce((total, line) => total + Number(line.split(" ")[field]), 0);
    expect(sum(3)).toBeGreaterThan(9000);
    expect(sum(4)).toBeGreaterThan(2500);
  });

  it("control: another token of a text, and another plan, are seen as such", () => {
    const seeds = Array.from({ length: 200 }, (_, seed) => seed);
    cutTailOfResiduals();
    const { plans, texts } = worldDifferences(seeds.map(worldLine), golden.slice(0, seeds.length));
    expect(plans).toEqual([]);
    expect(texts.length).toBeGreaterThan(10);
    const shifted = seeds.map((seed) => golden[seed + 1]!);
    expect(worldDifferences(shifted, golden.slice(0, seeds.length)).plans).toEqual(seeds);
  });
});

/**
 * False alarms: seeds are fixed, so a comparison passes always or never; were they drawn anew, right code would fail
 * one of the four with probability 4 * ALPHA at the most. Power: the controls, with a third of the seeds.
 */
describe("texts that chance and time decide together", () => {
  it("come from the target's distribution, as those of the table", () => {
    const found = sampleDraws(GOLDEN_SEEDS);
    expect(found).toMatchObject({ impossible: 0, cutOff: 0 });
    expect(found.tokens).toBeGreaterThan(15_000);
    for (const { pValue } of Object.values(goodnessOfFit(found))) expect(pValue).toBeGreaterThan(ALPHA);
    const same = sameDistribution(found, readJson<Draws>(DRAWS_FILE));
    for (const pValue of Object.values(same)) expect(pValue).toBeGreaterThan(ALPHA);
  });

  it("control: a residual without p's tail fails, and so against the table", () => {
    cutTailOfResiduals();
    const found = sampleDraws(CONTROL_SEEDS);
    expect(least(goodnessOfFit(found))).toBeLessThan(ALPHA);
    expect(Math.min(...Object.values(sameDistribution(found, readJson<Draws>(DRAWS_FILE))))).toBeLessThan(
      ALPHA,
    );
  });

  it("control: sessions at a temperature a quarter higher fail", () => {
    const found = sampleDraws(CONTROL_SEEDS, (sampler) => ({
      ...sampler,
      temperature: 1.25 * sampler.temperature,
    }));
    expect(least(goodnessOfFit(found))).toBeLessThan(ALPHA);
  });
});

const CONTROL_SEEDS = GOLDEN_SEEDS / 3;
const least = (all: ReturnType<typeof goodnessOfFit>) =>
  Math.min(...Object.values(all).map(({ pValue }) => pValue));

afterEach(() => {
  vi.restoreAllMocks();
});

/** A residual is drawn from the tokens of p that travel with the rejection, and never from the rest. */
function cutTailOfResiduals(): void {
  // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
  const { next } = ResidualDraw.prototype as any;
  // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
  vi.spyOn(ResidualDraw.prototype, "next").mockImplementation(function (this: any) {
    const { rejection } = this;
    if (rejection.kind === "sparse") this.rejection = { ...rejection, tailMass: 0 };
    return next.call(this);
  });
}
