// npm run check: types, lint and the fast tests at the same time. Each one's output comes whole, in this order.
import { spawn } from "node:child_process";

const CHECKS = ["npm run -s types", "npm run -s lint", "npx vitest run --project fast"];

/** @returns {Promise<{ command: string, status: number, output: string }>} */
function run(command) {
  return new Promise((done) => {
    const child = spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    child.once("error", ({ message }) => done({ command, status: 1, output: message }));
    child.once("close", (status) => done({ command, status: status ?? 1, output }));
  });
}

const failed = [];
for (const check of CHECKS.map(run)) {
  const { command, status, output } = await check;
  process.stdout.write(output);
  if (status !== 0) failed.push(command);
}
if (failed.length > 0) {
  console.error(`check: failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
