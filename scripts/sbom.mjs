// npm run sbom: what users install, as CycloneDX, in sbom/picospec.cdx.json. Fails where a dependency is not in it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FILE = "sbom/picospec.cdx.json";

const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const { devDependencies, peerDependencies, peerDependenciesMeta, ...manifest } = read("package.json");
const lock = read("package-lock.json");

/**
 * The package without what only development needs, and its lock file. In a checkout `npm sbom --omit dev` leaves out what
 * a development dependency needs as well, such as ws.
 */
function inFolderOfItsOwn(use) {
  const folder = mkdtempSync(join(tmpdir(), "picospec-sbom-"));
  try {
    // npm names the component after the folder.
    const own = join(folder, manifest.name);
    mkdirSync(own);
    const packages = Object.fromEntries(
      Object.entries(lock.packages)
        .filter(([path, { dev }]) => path !== "" && !dev)
        .concat([["", { ...lock.packages[""], devDependencies: {}, peerDependencies: {} }]]),
    );
    writeFileSync(join(own, "package.json"), JSON.stringify(manifest));
    writeFileSync(join(own, "package-lock.json"), JSON.stringify({ ...lock, packages }));
    return use(own);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function bomOf(cwd) {
  // From the lock file, and not from what this machine has: packages of all platforms are in it.
  const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];
  const shell = process.platform === "win32";
  return JSON.parse(execFileSync("npm", args, { cwd, encoding: "utf8", maxBuffer: 64 * 2 ** 20, shell }));
}

/** What the list says of a package by its path in the lock file. */
function problemsOf(bom) {
  const listed = new Set(
    bom.components.map(({ group, name, version }) => `${group ? `${group}/` : ""}${name}@${version}`),
  );
  const problems = [];
  for (const [path, { version, dev }] of Object.entries(lock.packages)) {
    const name = path.split("node_modules/").at(-1);
    if (path !== "" && !dev && !listed.has(`${name}@${version}`))
      problems.push(`${name}@${version} is not in it`);
  }
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    const version = lock.packages[`node_modules/${name}`]?.version;
    if (!listed.has(`${name}@${version}`)) problems.push(`the dependency ${name} is not in it`);
  }
  for (const name of Object.keys(devDependencies)) {
    const { version, dev } = lock.packages[`node_modules/${name}`] ?? {};
    if (dev && listed.has(`${name}@${version}`)) problems.push(`${name} is in it, and no user installs it`);
  }
  return problems;
}

const bom = inFolderOfItsOwn(bomOf);
const problems = problemsOf(bom);
mkdirSync("sbom", { recursive: true });
writeFileSync(FILE, `${JSON.stringify(bom, null, 2)}\n`);
for (const problem of problems) console.error(`sbom: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
else console.log(`${FILE}: ${bom.components.length} packages, every dependency among them`);
