// npm run test:clients: installs the clients of test/clients at the versions of its list, unmodified, and runs what each of
// them does against an endpoint. With --write the table of the README is written anew. What else follows goes to vitest.
import { spawnSync } from "node:child_process";
import { installClients } from "./clients.mjs";
import { cache, Refusal } from "./smollm2.mjs";
import { installPrograms } from "./system-packages.mjs";

try {
  installPrograms({ chromium: "chromium" });
  const clients = await installClients((text) => console.log(`test:clients: ${text}`));
  const args = process.argv.slice(2);
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "clients"];
  const env = {
    ...process.env,
    PICOSPEC_TEST_CACHE: cache,
    PICOSPEC_TEST_CLIENTS: JSON.stringify(clients),
    ...(args.includes("--write") ? { PICOSPEC_TEST_CLIENTS_WRITE: "1" } : {}),
  };
  const rest = args.filter((arg) => arg !== "--write");
  process.exitCode = spawnSync(process.execPath, [...vitest, ...rest], { stdio: "inherit", env }).status ?? 1;
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`test:clients: ${error.message}`);
  process.exitCode = 1;
}
