// What llama.cpp makes of conversations, as hashes, for test/real/renderings.test.ts: node scripts/chat-references.mjs.
// Builds a small program against the library that the package @node-llama-cpp/linux-x64 carries; the source that it needs
// is fetched into the tests' cache. With --full FILE the renderings themselves are written there too, to look at.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache } from "./smollm2.mjs";

const PACKAGE = "node-llama-cpp@3.22.1";
const TARBALL = "node-llama-cpp-3.22.1.tgz";
const BUNDLE = "package/llama/gitRelease.bundle";
const BOS = "<s>";
const EOS = "</s>";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const libraries = path("../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");
const folder = join(cache, "chat-references-3.22.1");
const program = join(folder, "reference");
const source = join(folder, "llama.cpp");

function run(name, args, options = {}) {
  const { status, error, stdout } = spawnSync(name, args, {
    stdio: ["pipe", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    cwd: folder,
    ...options,
  });
  if (status === 0) return stdout;
  throw new Error(`${name} failed: ${error?.message ?? `status ${status}`}`);
}

function fetchSource() {
  if (existsSync(source)) return;
  run("npm", ["pack", PACKAGE, "--ignore-scripts", "--silent"]);
  run("tar", ["xzf", TARBALL, BUNDLE]);
  run("git", ["clone", "--quiet", BUNDLE, "llama.cpp"]);
  rmSync(join(folder, TARBALL));
  rmSync(join(folder, "package"), { recursive: true });
}

function build() {
  const include = ["common", "include", "ggml/include", "vendor"].map((name) => `-I${join(source, name)}`);
  const link = ["-Wl,--export-dynamic", "-Wl,--allow-shlib-undefined", `-Wl,-rpath,${libraries}`];
  const library = join(libraries, "libllama-common.so");
  const code = path("chat-references/reference.cpp");
  const found = readdirSync(libraries).filter((name) => /^lib(?:llama|ggml)(?:-base|\.v.*)?\.so$/.test(name));
  const others = found.map((name) => join(libraries, name));
  run("g++", ["-std=c++17", "-O1", ...include, code, "-o", program, library, ...others, ...link]);
}

/** @returns of each request, the answer of the program */
function ask(requests) {
  const lines = requests.map((request) => `${JSON.stringify(request)}\n`).join("");
  const answers = run(program, [libraries], { input: lines, env: { ...process.env, TZ: "UTC" } });
  return answers.trimEnd().split("\n").map(JSON.parse);
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

mkdirSync(folder, { recursive: true });
fetchSource();
build();
const conversations = JSON.parse(readFileSync(path("../test/support/chat/conversations.json"), "utf8"));
const templates = join(source, "models", "templates");
const names = readdirSync(templates).filter((name) => name.endsWith(".jinja"));
const requests = names.flatMap((name) => {
  const template = readFileSync(join(templates, name), "utf8");
  return conversations.map((conversation) => ({ template, bos: BOS, eos: EOS, ...conversation }));
});
const answers = ask(requests);

const full = {};
const hashes = {};
for (const [i, name] of names.entries()) {
  const mine = answers.slice(i * conversations.length, (i + 1) * conversations.length);
  const key = name.slice(0, -".jinja".length);
  full[key] = Object.fromEntries(mine.map((answer, j) => [conversations[j].name, answer]));
  hashes[key] = mine.map(({ prompt }) => (prompt === undefined ? "refused" : hash(prompt)));
}
writeFileSync(path("../test/support/chat/renderings.json"), `${JSON.stringify(hashes, null, 2)}\n`);
const { before, after } = JSON.parse(readFileSync(path("../test/support/chat/fill-in.json"), "utf8"));
const vocabularies = ["starcoder", "refact", "deepseek-coder"];
const prompts = ask(
  vocabularies.map((name) => ({
    vocabulary: join(source, "models", `ggml-vocab-${name}.gguf`),
    before,
    after,
  })),
);
const tokens = Object.fromEntries(vocabularies.map((name, i) => [name, prompts[i].tokens.join(" ")]));
const told = Object.fromEntries(Object.entries(tokens).map(([name, text]) => [name, hash(text)]));
writeFileSync(
  path("../test/support/chat/fill-in.json"),
  `${JSON.stringify({ before, after, hashes: told }, null, 2)}\n`,
);
const at = process.argv.indexOf("--full");
if (at > 0) writeFileSync(process.argv[at + 1], JSON.stringify(full, null, 1));
const refused = answers.filter(({ error }) => error !== undefined).length;
console.log(`${answers.length} renderings of ${names.length} templates, ${refused} refused`);
