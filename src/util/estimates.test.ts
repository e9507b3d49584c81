import { describe, expect, it } from "vitest";
import { FadingShare, RunningMean } from "./estimates.ts";

describe("a running mean", () => {
  it("starts with its first sample and follows the others by their weight", () => {
    const mean = new RunningMean(0.25);
    expect(mean.mean).toBe(-1);
    mean.add(8);
    expect([mean.mean, mean.deviation]).toEqual([8, 0]);
    mean.add(16);
    expect([mean.mean, mean.deviation]).toEqual([10, 2]);
  });

  it("takes a sample of another weight without its deviation", () => {
    const mean = new RunningMean(0.25);
    mean.add(8);
    mean.add(18, 0.1);
    expect([mean.mean, mean.deviation]).toEqual([9, 0]);
  });
});

describe("a fading share", () => {
  it("is the guess before anything happened", () => {
    expect(new FadingShare(0.9, 0.7, 4).share).toBeCloseTo(0.7, 12);
  });

  it("weighs each event less by each that follows", () => {
    const share = new FadingShare(0.5, 0, 4);
    share.add(true); // 1 of 3
    expect(share.share).toBeCloseTo(1 / 3, 12);
    share.add(false); // 0.5 of 2.5
    expect(share.share).toBeCloseTo(0.2, 12);
    expect(share.deviation).toBeCloseTo(Math.sqrt((0.2 * 0.8) / 2.5), 12);
  });

  it("counts without fading where nothing is to be forgotten", () => {
    const share = new FadingShare(1, 0.5, 0.001);
    for (let i = 0; i < 100; i++) share.add(i % 4 === 0);
    expect(share.share).toBeCloseTo(0.25, 3);
  });
});
