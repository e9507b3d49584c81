import { expect, test } from "vitest";
import { ahead } from "./ahead.ts";

/** Values, and what happened in their making. */
function made(values: readonly number[], error: Error | null = null) {
  const told: string[] = [];
  async function* make() {
    told.push("begun");
    try {
      yield* values;
      if (error) throw error;
    } finally {
      told.push("over");
    }
  }
  return { told, values: make() };
}

test("what makes the values begins before the reader comes, and gives the same values", async () => {
  const plain = made([1, 2, 3]);
  expect(plain.told).toEqual([]);
  const { told, values } = made([1, 2, 3]);
  const read = ahead(values);
  expect(told).toEqual(["begun"]);
  const all: number[] = [];
  for await (const value of read) all.push(value);
  expect(all).toEqual([1, 2, 3]);
  expect(told).toEqual(["begun", "over"]);
});

test("an error before the first value is the reader's, also when the reader comes later", async () => {
  const read = ahead(made([], new Error("refused")).values);
  await new Promise((resolve) => setImmediate(resolve));
  await expect(read.next()).rejects.toThrow("refused");
});

test("a reader that leaves before the first value ends what makes them", async () => {
  const { told, values } = made([1, 2]);
  await ahead(values).return!();
  expect(told).toEqual(["begun", "over"]);
});
