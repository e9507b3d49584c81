/**
 * SmolLM2-135M-Instruct, a real model of 2024 that somebody else made: 49,152 tokens, a context of 8,192, Q4_1, Apache-2.0.
 * @returns the path of its file
 * @throws Error where the tests were not started by `npm run test:real`, which fetches it
 */
export function smollm2(): string {
  const path = process.env.PICOSPEC_TEST_SMOLLM2;
  if (!path) throw new Error("SmolLM2 is not here: npm run test:real fetches it and runs these tests");
  return path;
}
