// A copy of a GGUF model that agrees with it less: noise in the scales of its quantised blocks.
// `node scripts/noisy-model.mjs MODEL.gguf OUT.gguf NOISE` writes one; NOISE is the standard deviation of the factors.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gguf } from "@huggingface/gguf";
import { blocksOf, half, numberOf, Q4_1 } from "./gguf-blocks.mjs";

/** Uniform in (0, 1], always the same: xorshift. */
function uniform(seed) {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 1) / 2 ** 32;
  };
}

/**
 * Multiplies all weights of each Q4_1 block by 1 + noise * N(0, 1), the same for the block.
 * @param {string} model path of a GGUF file
 * @param {string} to path of the copy, which is there whole or not at all
 * @param {number} noise standard deviation of the factors
 */
export async function noisyModel(model, to, noise, seed = 1) {
  const { tensorInfos, tensorDataOffset } = await gguf(model, { allowLocalFile: true });
  const file = readFileSync(model);
  const random = uniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  let blocks = 0;
  for (const tensor of tensorInfos) {
    if (tensor.dtype !== Q4_1.dtype) continue;
    const count = blocksOf(tensor);
    for (let i = 0; i < count; i++) {
      const at = Number(tensorDataOffset + tensor.offset) + Q4_1.bytes * i;
      const factor = 1 + noise * normal();
      for (const place of [at, at + 2]) {
        file.writeUInt16LE(half(factor * numberOf(file.readUInt16LE(place))), place);
      }
    }
    blocks += count;
  }
  if (blocks === 0) throw new Error(`${model} has no Q4_1 tensors`);
  const part = `${to}.part`;
  writeFileSync(part, file);
  renameSync(part, to);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [model, to, noise] = process.argv.slice(2);
  await noisyModel(model, to, Number(noise));
}
