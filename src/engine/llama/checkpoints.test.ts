import { expect, it } from "vitest";
import type { LlamaApi } from "./abi.ts";
import { Checkpoints } from "./checkpoints.ts";

const BYTES = 64;

it("a state that could not be saved costs no memory: the next one takes its place", async () => {
  const places: bigint[] = [];
  const outcomes: unknown[] = [new Error("lost"), null];
  const partGet = {
    async: (...all: unknown[]) => {
      places.push(all[1] as bigint);
      (all.at(-1) as (error: unknown, written: unknown) => void)(outcomes.shift(), BYTES);
    },
  };
  const api = { partSize: () => BYTES, partGet } as unknown as LlamaApi;
  const checkpoints = new Checkpoints(api, 1n, 1);
  await expect(checkpoints.save(0, 3)).rejects.toMatchObject({ code: "decode_failed" });
  expect(checkpoints.latest(0, 3)).toBe(-1);
  await checkpoints.save(0, 4);
  expect(checkpoints.latest(0, 9)).toBe(4);
  expect(places).toHaveLength(2);
  expect(places[1]).toBe(places[0]);
  checkpoints.close();
});
