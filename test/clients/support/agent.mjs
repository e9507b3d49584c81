import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";

const TEXT = "written by a tool";
const BIN = join(import.meta.dirname, "..", "..", "node_modules", ".bin");
const MOST_MS = 90_000;

/**
 * An agent of the command line does a task: it writes a file by its own tool, and says what the tool said.
 * @param call what the model answers: the tool's name, and its arguments for a path and a text
 */
export async function writesFile({ program, call, args, env = {}, before = () => {} }) {
  const folder = mkdtempSync(join(process.cwd(), "task-"));
  const path = join(folder, "note.txt");
  const [name, given] = call(path, TEXT);
  const prompt = `Write the note.\n@call ${name} ${JSON.stringify(given)}`;
  before(folder);
  const options = { cwd: folder, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] };
  const child = spawn(join(BIN, program), args(prompt), { ...options, timeout: MOST_MS });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  const status = await new Promise((done, failed) => child.once("error", failed).once("close", done));
  assert.ok(existsSync(path), `${program} wrote nothing (status ${status}): ${said.slice(-3000)}`);
  assert.equal(readFileSync(path, "utf8").trim(), TEXT);
  assert.match(said, /the tool said/);
}
