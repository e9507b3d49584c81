// A copy of a GGUF model that agrees with it less: noise in the scales of its quantised blocks.
// `node scripts/noisy-model.mjs MODEL.gguf OUT.gguf NOISE` writes one; NOISE is the standard deviation of the factors.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gguf } from "@huggingface/gguf";

/** Of GGUF's Q4_1: two half-precision numbers, the scale and the least value, and 32 values of four bits. */
const [Q4_1, BLOCK, BLOCK_BYTES] = [3, 32, 20];

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

/** IEEE 754 binary16 of a number that is no NaN; what is too large or too small for it becomes the nearest that is not. */
function half(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.min(Math.abs(value), 65504);
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -24)));
  const fraction = Math.round(size * 2 ** (10 - exponent));
  return sign | (fraction < 1024 ? fraction : ((exponent + 15) << 10) + fraction - 1024);
}

function numberOf(bits) {
  const fraction = bits & 0x3ff;
  const exponent = (bits >> 10) & 0x1f;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
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
  for (const { dtype, shape, offset } of tensorInfos) {
    if (dtype !== Q4_1) continue;
    const count = shape.reduce((product, length) => product * Number(length), 1) / BLOCK;
    for (let i = 0; i < count; i++) {
      const at = Number(tensorDataOffset + offset) + BLOCK_BYTES * i;
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
