// What a token costs here and in an earlier release, side by side in one run: npm run compare -- --help.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const USAGE = `npm run compare -- [options]
  --base REF     the release to compare with (v0.1.0); it is built in a git worktree of its own
  --rounds N     measurements of own code on each side, in turns (12)`;

/** More rounds than this take hours. */
const MOST_ROUNDS = 1000;

const options = {
  base: { type: "string", default: "v0.1.0" },
  rounds: { type: "string", default: "12" },
  help: { type: "boolean", default: false },
};

try {
  const { values } = parseArgs({ options });
  const rounds = Number(values.rounds);
  if (values.help) console.log(USAGE);
  else if (!Number.isInteger(rounds) || rounds < 3 || rounds > MOST_ROUNDS) {
    throw new TypeError(`--rounds is a whole number of 3 to ${MOST_ROUNDS}, not "${values.rounds}"`);
  } else process.exitCode = compare(values.base, rounds) ? 0 : 1;
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}; see npm run compare -- --help`);
  process.exitCode = 2;
}

/** @returns whether nothing costs more than before */
function compare(base, rounds) {
  const folder = mkdtempSync(join(tmpdir(), "picospec-compare-"));
  const source = join(folder, "base");
  execFileSync("git", ["worktree", "add", "--quiet", "--detach", source, base], { stdio: "inherit" });
  try {
    const builds = {
      base: build(source, join(folder, "base-dist")),
      here: build(".", join(folder, "here-dist")),
    };
    const payloadHolds = comparePayload(builds, base);
    return compareOwnCode(builds, base, rounds) && payloadHolds;
  } finally {
    execFileSync("git", ["worktree", "remove", "--force", source]);
    rmSync(folder, { recursive: true });
  }
}

/** Compiles with this checkout's compiler and dependencies. @returns the folder of the build */
function build(source, dist) {
  const tsc = resolve("node_modules/typescript/bin/tsc");
  if (source !== ".") symlinkSync(resolve("node_modules"), join(source, "node_modules"), "junction");
  const args = [tsc, "-p", "tsconfig.build.json", "--outDir", dist, "--declaration", "false"];
  execFileSync(process.execPath, args, { cwd: source, stdio: "inherit" });
  // Built code imports packages from here.
  symlinkSync(resolve("node_modules"), join(dist, "node_modules"), "junction");
  return dist;
}

/** @param kind own-code or payload */
function measure(dist, kind) {
  const said = execFileSync(process.execPath, ["scripts/release-cost.mjs", dist, kind], { encoding: "utf8" });
  return JSON.parse(said);
}

/** Equal seeds: there is no chance in it, and no seed may send more. */
function comparePayload(builds, base) {
  const before = new Map(measure(builds.base, "payload").map(({ policy, seeds }) => [policy, seeds]));
  let holds = true;
  console.log(
    `payload, bytes per token without hello, welcome and open; ${base}, here, the most of one seed`,
  );
  for (const { policy, seeds } of measure(builds.here, "payload")) {
    const old = before.get(policy);
    if (!old) continue;
    const texts = seeds.filter(({ text }, i) => text !== old[i].text).length;
    for (const way of ["up", "down"]) {
      const most = Math.max(...seeds.map((seed, i) => seed[way] - old[i][way]));
      const worse = most > 0;
      holds &&= !worse;
      const figures = [mean(old.map((seed) => seed[way])), mean(seeds.map((seed) => seed[way]))];
      const cells = [...figures.map((value) => value.toFixed(2).padStart(9)), signed(most).padStart(9)];
      console.log(`${policy.padEnd(30)} ${way.padEnd(5)}${cells.join("")}${worse ? "  more" : ""}`);
    }
    if (texts > 0) console.log(`${policy.padEnd(30)} ${texts} of ${seeds.length} texts differ`);
  }
  return holds;
}

/** In turns, and each turn in the other order: what the machine does meanwhile meets both. */
function compareOwnCode(builds, base, rounds) {
  const pairs = new Map();
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ["base", "here"] : ["here", "base"];
    const samples = Object.fromEntries(order.map((side) => [side, measure(builds[side], "own-code")]));
    for (const [i, { policy, ...sides }] of samples.here.entries()) {
      for (const side of Object.keys(sides)) {
        const pair = { base: 1000 * samples.base[i][side], here: 1000 * sides[side] };
        const name = `${policy.padEnd(30)} ${side.padEnd(5)}`;
        pairs.set(name, [...(pairs.get(name) ?? []), pair]);
      }
    }
  }
  let holds = true;
  console.log(`own code, us per token; ${base}, here, difference with its 95% interval over ${rounds} pairs`);
  for (const [name, samples] of pairs) {
    const differences = samples.map((pair) => pair.here - pair.base);
    const [difference, half] = [mean(differences), halfInterval(differences)];
    const worse = difference - half > 0;
    holds &&= !worse;
    const figures = [mean(samples.map((pair) => pair.base)), mean(samples.map((pair) => pair.here))];
    const interval = `${signed(difference)} (${signed(difference - half)} to ${signed(difference + half)})`;
    const cells = figures.map((value) => value.toFixed(2).padStart(9)).join("");
    console.log(`${name}${cells}  ${interval}${worse ? "  more" : ""}`);
  }
  return holds;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function signed(value) {
  return `${value > 0 ? "+" : ""}${value.toFixed(2)}`;
}

/** Half of the 95% interval of the mean, by Student's t. */
function halfInterval(values) {
  const n = values.length;
  const middle = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (n - 1);
  return studentT(n - 1) * Math.sqrt(variance / n);
}

/** The 97.5% quantile by degrees of freedom: tabled where the expansion in 1/n is not good enough. */
function studentT(degrees) {
  const tabled = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
  if (degrees <= tabled.length) return tabled[degrees - 1];
  const z = 1.959964;
  // Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  return z + first / degrees + second / degrees ** 2;
}
