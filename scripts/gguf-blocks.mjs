// Blocks of quantised weights in GGUF files, as far as the test models have them.

/** Q4_1: two half-precision numbers, the scale and the least value, and 32 values of four bits. */
export const Q4_1 = { dtype: 3, bytes: 20 };
/** Q8_0: a half-precision scale, and 32 signed bytes. */
export const Q8_0 = { dtype: 8, bytes: 34 };
export const BLOCK = 32;

/** Of a tensor. */
export const blocksOf = ({ shape }) => shape.reduce((product, length) => product * Number(length), 1) / BLOCK;

/** IEEE 754 binary16 of a number that is no NaN; what is too large or too small for it becomes the nearest that is not. */
export function half(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.min(Math.abs(value), 65504);
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -24)));
  const fraction = Math.round(size * 2 ** (10 - exponent));
  return sign | (fraction < 1024 ? fraction : ((exponent + 15) << 10) + fraction - 1024);
}

/** Of its bits. */
export function numberOf(bits) {
  const fraction = bits & 0x3ff;
  const exponent = (bits >> 10) & 0x1f;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}
