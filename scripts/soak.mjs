// 32 requests at a time against a real cloud and edge: npm run soak [-- SECONDS], two minutes unless said otherwise.
import { spawnSync } from "node:child_process";

const [seconds = "120"] = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "--project", "slow", "test/integration/soak.test.ts"],
  { stdio: "inherit", env: { ...process.env, PICOSPEC_SOAK_SECONDS: seconds } },
);
process.exitCode = status ?? 1;
