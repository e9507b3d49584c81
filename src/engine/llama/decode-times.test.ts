import { expect, it } from "vitest";
import { DecodeTimes } from "./decode-times.ts";

it("knows nothing at first, and each number of tokens by itself", () => {
  const times = new DecodeTimes();
  expect(times.isShort(1)).toBe(false);
  times.note(1, 0.5);
  expect([times.isShort(1), times.isShort(2)]).toEqual([true, false]);
});

it("believes what is shorter at once, and what is longer when it goes on", () => {
  const times = new DecodeTimes();
  times.note(4, 9);
  for (let i = 0; i < 8; i++) times.note(4, 1);
  expect(times.isShort(4)).toBe(true);
  times.note(4, 9);
  expect(times.isShort(4)).toBe(true);
  for (let i = 0; i < 20; i++) times.note(4, 9);
  expect(times.isShort(4)).toBe(false);
});

it("takes no prompt for short", () => {
  const times = new DecodeTimes();
  times.note(33, 0.1);
  expect(times.isShort(33)).toBe(false);
});
