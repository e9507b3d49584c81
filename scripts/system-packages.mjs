// What `npm run test:deploy` needs besides Node: nginx, HAProxy, curl, and the command systemd-analyze. Installs what is
// not there, on Debian and Ubuntu, as root. No service is started: the tests start what they need on the loopback.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const PROGRAMS = { nginx: "nginx-light", haproxy: "haproxy", curl: "curl", "systemd-analyze": "systemd" };

const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
const missing = Object.keys(PROGRAMS).filter(
  (name) => !folders.some((folder) => existsSync(join(folder, name))),
);
if (missing.length > 0) {
  const packages = missing.map((name) => PROGRAMS[name]);
  const command = `apt-get install --no-install-recommends ${packages.join(" ")}`;
  const able =
    process.platform === "linux" &&
    process.getuid() === 0 &&
    spawnSync("apt-get", ["--version"]).status === 0;
  if (!able) {
    console.error(`system-packages: ${missing.join(", ")} not found; as root: ${command}`);
    process.exit(1);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  for (const args of [
    ["update", "-qq"],
    ["install", "-qq", "--no-install-recommends", ...packages],
  ]) {
    const { status } = spawnSync("apt-get", args, { env, stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) {
      console.error(`system-packages: apt-get ${args[0]} failed; as root: ${command}`);
      process.exit(1);
    }
  }
  console.log(`system-packages: installed ${packages.join(", ")}`);
}
