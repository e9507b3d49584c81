// npm run test:vllm: checks the plugin, starts a real vLLM for CPU, and runs the tests that need one. vLLM is installed from
// PyPI, with a model, into a cache outside of the checkout where it is missing. The full form, --full or
// PICOSPEC_TEST_FULL=1, asks more of each kind and has files of its own (test/vllm/full). What else follows the command goes
// on to vitest, and then the plugin is not checked.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Refusal } from "./smollm2.mjs";
import { vllmEnvironment } from "./vllm-environment.mjs";
import { checkPlugin } from "./vllm-plugin.mjs";

const say = (text) => console.log(`test:vllm: ${text}`);
const given = process.argv.slice(2);
const rest = given.filter((arg) => arg !== "--full");
const isFull = given.includes("--full") || Boolean(process.env.PICOSPEC_TEST_FULL);

/** @returns exit status */
async function plugin() {
  if (!isFull) return checkPlugin({ say, live: null });
  const folder = mkdtempSync(join(tmpdir(), "picospec-test-vllm-"));
  const live = join(folder, "environment.json");
  try {
    writeFileSync(live, JSON.stringify(await vllmEnvironment({ say })));
    return checkPlugin({ say, live });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns exit status */
async function servers() {
  const environment = JSON.stringify(await vllmEnvironment({ say }));
  const args = ["node_modules/vitest/vitest.mjs", "run", "--project", "vllm", ...rest];
  const full = isFull ? { PICOSPEC_TEST_FULL: "1" } : {};
  const env = { ...process.env, ...full, PICOSPEC_TEST_VLLM: environment };
  return spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;
}

try {
  process.exitCode = (rest.length === 0 ? await plugin() : 0) || (await servers());
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`test:vllm: ${error.message}`);
  process.exitCode = 1;
}
