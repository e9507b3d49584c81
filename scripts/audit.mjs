// npm run audit: known vulnerabilities, high and critical, of what users install. A registry that does not answer such
// questions is no failure of ours, and is said aloud: then nothing was audited.
import { spawnSync } from "node:child_process";

/** What npm says where the registry has no endpoint for audits: mirrors often have none. */
const NO_ENDPOINT = /audit endpoint returned an error|ENOAUDIT|audit.*not (?:supported|implemented)/i;
const NOT_THERE = /\b(?:404|405|410|501)\b/;

const args = ["audit", "--omit=dev", "--audit-level=high", "--loglevel=warn"];
const { status, stdout, stderr } = spawnSync("npm", args, {
  encoding: "utf8",
  shell: process.platform === "win32",
});
process.stdout.write(stdout);
if (status === 0) {
  console.log("audit: no known vulnerability, high or critical, in what users install");
} else if (NO_ENDPOINT.test(stderr) && NOT_THERE.test(stderr)) {
  console.log(
    "audit: NOT AUDITED: this registry has no endpoint for audits; ask another (npm_config_registry)",
  );
} else {
  process.stderr.write(stderr);
  process.exitCode = 1;
}
