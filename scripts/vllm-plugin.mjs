// The plugin's own checks: ruff, mypy (strict) and pytest, of pinned versions, in an environment outside of the checkout.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cache } from "./smollm2.mjs";
import { checkout, environmentWith } from "./vllm-environment.mjs";

const SPACE_BYTES = 0.5e9;

const folder = join(checkout, "engines", "vllm");
const pinsFile = join(folder, "environment", "tools.txt");

/**
 * Runs them until one fails. Tests that start a vLLM of their own, marked `vllm`, are run with `live` alone.
 * @param {{ say: (text: string) => void, live: string | null }} options live: file of what `vllmEnvironment` gives
 * @returns {number} exit status
 */
export function checkPlugin({ say, live }) {
  const venv = join(cache, "vllm-tools");
  const program = environmentWith(venv, readFileSync(pinsFile, "utf8"), SPACE_BYTES, (pip) => {
    say(`installing pytest, ruff and mypy (0.2 GB) into ${venv}`);
    pip(["--no-deps", "--requirement", pinsFile]);
  });
  const own = { PYTHONDONTWRITEBYTECODE: "1", PICOSPEC_TEST_VLLM: live ?? "" };
  const marked = live === null ? ["-m", "not vllm"] : [];
  for (const args of [
    ["ruff", "check", "--no-cache", "."],
    ["ruff", "format", "--check", "--no-cache", "."],
    ["mypy", "--cache-dir", join(cache, "vllm-tools", "mypy")],
    ["pytest", "-q", "-p", "no:cacheprovider", ...marked],
  ]) {
    const { status } = spawnSync(program, ["-m", ...args], {
      ...{ cwd: folder, stdio: "inherit" },
      env: { ...process.env, ...own },
    });
    if (status !== 0) {
      say(`${args[0]} of engines/vllm failed`);
      return status ?? 1;
    }
  }
  return 0;
}
