import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gguf, readGguf, writeGguf } from "../../../test/files/gguf.ts";
import { writeRandomGguf } from "../../../test/support/random-gguf.ts";
import { readHeader } from "./gguf.ts";
import { checkTensors } from "./tensors.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
const path = join(folder, "model.gguf");
let whole: Uint8Array;
beforeAll(() => {
  writeRandomGguf(path, { kind: "spm", vocabularySize: 400, layers: 1, seed: 1 });
  whole = new Uint8Array(readFileSync(path));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function checked(bytes: Uint8Array): Promise<string> {
  writeFileSync(path, bytes);
  return checkTensors(path, await readHeader(path)).then(
    () => "fine",
    (error) => {
      expect(error.code).toBe("bad_model");
      return error.message;
    },
  );
}

it("a table that is right is fine", async () => {
  expect(await checked(whole)).toBe("fine");
  expect(await checked(writeGguf(readGguf(whole)))).toBe("fine");
});

it("a file that ends too early says by how much, from the first byte that is missed on", async () => {
  const { tensors, dataOffset } = await readHeader(path);
  const last = tensors.at(-1)!;
  // F16
  const end = dataOffset + Number(last.offset) + 2 * last.shape.reduce((a, b) => a * Number(b), 1);
  expect(await checked(whole.slice(0, end))).toBe("fine");
  expect(await checked(whole.slice(0, end - 1))).toMatch(/ends 0\.0 kB too early/);
  expect(await checked(whole.slice(0, end - 10_240))).toMatch(/ends 10\.0 kB too early: .*download it again/);
});

it.each<[string, (file: Gguf) => void, RegExp]>([
  [
    "two of one name",
    ({ tensors }) => (tensors[3]!.name = tensors[0]!.name),
    /token_embd.weight is there twice/,
  ],
  ["no dimension", ({ tensors }) => (tensors[0]!.dimensions = []), /has 0 dimensions/],
  ["five dimensions", ({ tensors }) => tensors[0]!.dimensions.push(1n, 1n, 1n), /has 5 dimensions/],
  ["a length of none", ({ tensors }) => (tensors[0]!.dimensions[1] = 0n), /token_embd.weight is 64 x 0/],
  [
    "too many numbers",
    ({ tensors }) => (tensors[0]!.dimensions = [2n ** 31n, 2n ** 31n]),
    /token_embd.weight is 2147483648 x/,
  ],
  ["a place past the end", ({ tensors }) => (tensors[0]!.offset = 2n ** 40n), /too early/],
  [
    "a place of others",
    ({ tensors }) => (tensors[1]!.offset = 32n),
    /token_embd.weight and output.weight share/,
  ],
  ["a norm that is none", ({ tensors }) => (tensors[2]!.type = 1), /output_norm.weight is of format 1/],
  ["weights of integers", ({ tensors }) => (tensors[1]!.type = 24), /output.weight is of format 24/],
])("%s is found", async (_, damage, message) => {
  const file = readGguf(whole);
  damage(file);
  expect(await checked(writeGguf(file))).toMatch(message);
});
