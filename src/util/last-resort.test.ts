import { expect, it } from "vitest";
import { guarded } from "./last-resort.ts";

const throwing = (text: string) => () => {
  throw new Error(text);
};

it("a fault is told, and what it happened in ends; a fault in that is told too", () => {
  const told: string[] = [];
  const failed = (error: unknown) => void told.push((error as Error).message);
  guarded(failed, throwing("first"), () => void told.push("lost"));
  guarded(failed, throwing("second"), throwing("third"));
  guarded(failed, () => void told.push("no fault"), throwing("never"));
  expect(told).toEqual(["first", "lost", "second", "third", "no fault"]);
});

it("control: without anybody to tell it is thrown", () => {
  expect(() => guarded(null, throwing("first"), () => {})).toThrow("first");
});
