import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRandomGguf } from "./random-gguf.ts";
import { RealPair } from "./real-pair.ts";

/** Names and shapes for describe.each: two tokenizers, one of them padded differently on the two sides. */
export const RANDOM_SHAPES = [
  ["SentencePiece, V = 32,000", { kind: "spm", vocabularySize: 32_000 }, 0],
  ["byte-level BPE, V = 9,000, another padding on each side", { kind: "bpe", vocabularySize: 9000 }, 64],
] as const;

type Shape = (typeof RANDOM_SHAPES)[number][1];

/** A pair of random F16 weights. @param padding unused tokens that only the drafter has */
export async function openRandomPair(
  shape: Shape,
  padding: number,
): Promise<{ pair: RealPair; close: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "picospec-"));
  const [target, drafter] = [join(folder, "target.gguf"), join(folder, "drafter.gguf")];
  writeRandomGguf(target, { ...shape, layers: 4, seed: 3 });
  writeRandomGguf(drafter, { ...shape, layers: 1, seed: 3, padding });
  const pair = await RealPair.open(target, drafter);
  const close = () => {
    pair.close();
    rmSync(folder, { recursive: true });
  };
  return { pair, close };
}
