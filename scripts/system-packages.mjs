// What tests need besides Node. Installs what is not there, on Debian and Ubuntu, as root. No service is started. By
// itself it is what `npm run test:deploy` needs: nginx, HAProxy, curl, and the command systemd-analyze; the tests start
// what they need on the loopback.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Refusal } from "./smollm2.mjs";

const DEPLOY = { nginx: "nginx-light", haproxy: "haproxy", curl: "curl", "systemd-analyze": "systemd" };

/** @param programs the package of each @throws Refusal that says what to do */
export function installPrograms(programs) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const missing = Object.keys(programs).filter(
    (name) => !folders.some((folder) => existsSync(join(folder, name))),
  );
  if (missing.length === 0) return;
  const packages = missing.map((name) => programs[name]);
  const command = `apt-get install --no-install-recommends ${packages.join(" ")}`;
  const able =
    process.platform === "linux" &&
    process.getuid() === 0 &&
    spawnSync("apt-get", ["--version"]).status === 0;
  if (!able) throw new Refusal(`${missing.join(", ")} not found; as root: ${command}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  for (const args of [
    ["update", "-qq"],
    ["install", "-qq", "--no-install-recommends", ...packages],
  ]) {
    const { status } = spawnSync("apt-get", args, { env, stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) throw new Refusal(`apt-get ${args[0]} failed; as root: ${command}`);
  }
  console.log(`system-packages: installed ${packages.join(", ")}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    installPrograms(DEPLOY);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(`system-packages: ${error.message}`);
    process.exitCode = 1;
  }
}
