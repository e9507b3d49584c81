// The clients of test/clients, at the versions of its list: installed from npm and PyPI, unmodified, into the cache of
// tests. A package whose requirements disagree with another's has a folder of its own.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache, Refusal } from "./smollm2.mjs";

export const source = join(dirname(fileURLToPath(import.meta.url)), "..", "test", "clients");
export const versions = JSON.parse(readFileSync(join(source, "versions.json"), "utf8"));

const short = (value) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);

/** Runs a program. @throws Refusal that says what to do, with what it said last */
function run(program, args, cwd, whatToDo) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const hear = (chunk) => {
      said = (said + chunk).slice(-2000);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    const refuse = (why) => reject(new Refusal(`${whatToDo} (${program} ${args[0]}: ${why})`));
    child.once("error", (error) => refuse(error.message));
    child.once("close", (status) => (status === 0 ? resolve() : refuse(said.trim() || `status ${status}`)));
  });
}

/** Installs once: a mark is the last thing that is written. */
async function once(folder, install) {
  const mark = join(folder, ".installed");
  if (existsSync(mark)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install();
  writeFileSync(mark, "");
}

/** @returns the folder with the clients of npm, and the scripts that drive them beside */
async function installNpm(say) {
  const folder = join(cache, `clients-npm-${short(versions.npm)}`);
  await once(folder, async () => {
    say(`installing ${Object.keys(versions.npm).length} packages from npm into ${folder}`);
    const manifest = { private: true, type: "module", dependencies: versions.npm };
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
    const args = ["install", "--no-audit", "--no-fund", "--save-exact", "--legacy-peer-deps"];
    await run("npm", args, folder, "clients of npm could not be installed: is the registry within reach?");
  });
  // Beside the packages, which is where they find them.
  const scripts = join(folder, "clients");
  rmSync(scripts, { recursive: true, force: true });
  cpSync(source, scripts, { recursive: true });
  return folder;
}

/** @returns a Python with the package; each has an environment of its own */
async function installPip(name, say) {
  const folder = join(cache, `clients-pip-${name}-${versions.pip[name]}`);
  const python = join(folder, "bin", "python");
  await once(folder, async () => {
    say(`installing ${name} ${versions.pip[name]} from PyPI into ${folder}`);
    const lacking =
      "clients in Python need Python 3.10 to 3.12 with venv; as root: apt-get install python3-venv";
    await run("python3", ["-m", "venv", folder], cache, lacking);
    const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    const whatToDo = `${name} could not be installed: is PyPI, or the mirror that pip is set to, within reach?`;
    await run(python, [...args, `${name}==${versions.pip[name]}`], folder, whatToDo);
  });
  return python;
}

/** @returns where the clients are: `npm` a folder, `python` by package */
export async function installClients(say) {
  mkdirSync(cache, { recursive: true });
  const names = Object.keys(versions.pip);
  const [npm, ...pythons] = await Promise.all([
    installNpm(say),
    ...names.map((name) => installPip(name, say)),
  ]);
  return { npm, python: Object.fromEntries(names.map((name, i) => [name, pythons[i]])) };
}

/** Names of the scripts: of NAME.mjs, and of NAME.py. */
export function clientScripts() {
  const files = readdirSync(source);
  const named = (end) => files.filter((file) => file.endsWith(end)).sort();
  return { js: named(".mjs"), python: named(".py") };
}
