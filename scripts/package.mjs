// The package as users get it: npm run test:package packs it, reads the tarball, and compiles and runs programs on it.
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const folder = mkdtempSync(join(tmpdir(), "picospec-package-"));
const problems = [];
try {
  const { filename, size, unpackedSize, files } = pack();
  const tarball = join(folder, filename);
  console.log(`${filename}: ${megabytes(size)} packed, ${megabytes(unpackedSize)}, ${files.length} files`);
  problems.push(...missingFiles(files.map(({ path }) => path)));
  unpack(tarball);
  problems.push(...strayImports(), ...(await typeProblems(tarball)), ...(await lint(tarball)));
  problems.push(...consumerPrograms().flatMap(compileAndRun));
} finally {
  rmSync(folder, { recursive: true });
}
for (const problem of problems) console.error(`package: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
else console.log("the package is sound: files, declarations, types of every resolution, programs on it");

/** Packs what `npm publish` would; its script `prepare` builds first. */
function pack() {
  const args = ["pack", "--json", "--silent", "--pack-destination", folder];
  const said = execFileSync("npm", args, { encoding: "utf8", shell: process.platform === "win32" });
  return JSON.parse(said.slice(said.indexOf("[\n")))[0];
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function missingFiles(paths) {
  const wanted = [
    ...["dist/src/index.js", "dist/src/node.d.ts", "dist/lab/index.js", "dist/lab/index.d.ts"],
    ...[
      "bin/picospec.js",
      "docs/architecture.md",
      "docs/protocol.md",
      "docs/operations.md",
      "deploy/grafana/picospec.json",
      "examples/library/story.mjs",
    ],
    ...["models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf", "README.md", "LICENSE"],
  ];
  const needless = paths.filter((path) => /\.test\.|^test\/|(?<!\.d)\.ts$/.test(path));
  return [
    ...wanted.filter((path) => !paths.includes(path)).map((path) => `${path} is not in the tarball`),
    ...needless.map((path) => `${path} is in the tarball, and is of no use to users`),
  ];
}

/** The consumer's folder: the package unpacked, and the dependencies that npm would install beside it. */
function unpack(tarball) {
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  execFileSync("tar", ["-xzf", tarball, "-C", modules]);
  execFileSync(process.execPath, ["-e", `fs.renameSync("package", "picospec")`], { cwd: modules });
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  const beside = { ...dependencies, ...optionalDependencies, "@types/node": "" };
  for (const name of Object.keys(beside)) {
    const installed = resolve("node_modules", name);
    if (name.startsWith("@")) mkdirSync(join(modules, name.split("/")[0]), { recursive: true });
    symlinkSync(installed, join(modules, name), "junction");
  }
}

/** Relative imports of declarations name the JavaScript beside them. */
function strayImports() {
  const dist = join(folder, "node_modules/picospec/dist");
  const declarations = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith(".d.ts"));
  return declarations.flatMap((name) => {
    const imports = readFileSync(join(dist, name), "utf8").matchAll(/"(\.{1,2}\/[^"]*)"/g);
    return [...imports]
      .filter(([, path]) => !path.endsWith(".js"))
      .map(([, path]) => `dist/${name} imports ${path}`);
  });
}

/** By attw, for every way to resolve modules but require(): there is no CommonJS here. */
async function typeProblems(tarball) {
  const checked = await checkPackage(createPackageFromTarballData(readFileSync(tarball)), {
    entrypoints: [".", "./node", "./lab"],
  });
  if (!checked.types) return ["attw finds no types"];
  return checked.problems
    .filter(({ kind }) => kind !== "CJSResolvesToESM")
    .map(({ kind, ...where }) => `attw: ${kind} ${JSON.stringify(where)}`);
}

async function lint(tarball) {
  const data = readFileSync(tarball);
  const archive = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: archive }, strict: true });
  return messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
}

/** Programs by each way to resolve modules, with the platform's types that such users have. */
function consumerPrograms() {
  const node = { text: readFileSync("scripts/consumer/node.ts", "utf8"), types: ["node"] };
  const browser = { text: readFileSync("scripts/consumer/browser.ts", "utf8"), types: [] };
  const bundler = { module: "es2022", moduleResolution: "bundler" };
  return [
    { name: "nodenext", ...node, module: "nodenext", lib: ["es2023"] },
    { name: "bundler", ...node, ...bundler, lib: ["es2023"] },
    {
      ...{ name: "browser", ...browser, ...bundler, lib: ["es2023", "dom", "dom.iterable"] },
      ...{ customConditions: ["browser"], run: ["--conditions=browser"] },
    },
  ];
}

function compileAndRun({ name, text, run = [], ...options }) {
  const own = join(folder, name);
  mkdirSync(own);
  writeFileSync(join(own, "program.mts"), text);
  const compilerOptions = { target: "es2022", strict: true, skipLibCheck: false, ...options };
  writeFileSync(join(own, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["program.mts"] }));
  try {
    const tsc = resolve("node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", own], { encoding: "utf8", stdio: "pipe" });
    const call = 'import { answer } from "./program.mjs"; console.log(await answer());';
    const args = [...run, "--input-type=module", "--eval", call];
    const said = execFileSync(process.execPath, args, { cwd: own, encoding: "utf8" });
    console.log(`${name}: compiles, and says "${said.trim()}"`);
    return [];
  } catch (error) {
    return [`a program under ${name}: ${error.stdout || error.stderr || error.message}`];
  }
}
