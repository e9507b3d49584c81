/**
 * Questions of the kinds that the bundled pair knows, for benchmarks on it: such as it answers right under every CPU
 * build of llama.cpp for x86, whose near-ties differ.
 */
export const BENCH_PROMPTS: readonly string[] = [
  "Tell me a story about a frog and a lantern.",
  "Tell me a story about a fox and a ring.",
  "Tell me a story about a bear and a key.",
  "Tell me a story about an owl and a drum.",
  "Tell me a story about a mouse and a mirror.",
  "Tell me a story about a goat and a whistle.",
  "Tell me a story about a cat and a scarf.",
  "Tell me a story about a dog and a drum.",
];
