import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

/**
 * Vocabularies of real models, with samples of what they make of texts: llama.cpp's repository has them, and the npm
 * package `node-llama-cpp` has that repository as a git bundle. They are fetched once, into a cache outside of the
 * checkout ($PICOSPEC_TEST_CACHE, or ~/.cache/picospec-tests), and never committed.
 */

const PACKAGE = "node-llama-cpp@3.22.1";
const TARBALL = "node-llama-cpp-3.22.1.tgz";
const INTEGRITY = "bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==";
const BUNDLE = "package/llama/gitRelease.bundle";
/** Encoders: they generate nothing. */
const NO_GENERATORS = ["bert-bge", "nomic-bert-moe"];

export interface RealVocabulary {
  readonly name: string;
  /** a GGUF file without tensors */
  readonly path: string;
  /** texts, and the tokens that they are without what the tokenizer puts around them; none for some */
  readonly samples: readonly { readonly text: string; readonly tokens: readonly number[] }[];
}

const run = promisify(execFile);

/** Where what tests fetch is kept: `npm run test:real` says. */
export function testCache(): string {
  const folder = process.env.PICOSPEC_TEST_CACHE;
  if (!folder)
    throw new Error("there is no folder for vocabularies: start these tests with npm run test:real");
  return folder;
}

/** All that generate, by name; fetched where they are not there. @throws Error that says which tool is missing */
export async function realVocabularies(): Promise<RealVocabulary[]> {
  const folder = await fetched();
  const files = (await readdir(folder)).filter((name) => name.endsWith(".gguf")).sort();
  const all = files.map((file) => ({ file, name: file.slice("ggml-vocab-".length, -".gguf".length) }));
  return Promise.all(
    all
      .filter(({ name }) => !NO_GENERATORS.includes(name))
      .map(async ({ file, name }) => {
        const path = join(folder, file);
        return { name, path, samples: await samplesOf(path) };
      }),
  );
}

/** Chat templates of real models, by name: Jinja source. */
export async function realTemplates(): Promise<ReadonlyMap<string, string>> {
  const folder = join(await fetched(), "templates");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".jinja")).sort();
  const sources = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return new Map(files.map((name, i) => [name.slice(0, -".jinja".length), sources[i]!]));
}

async function samplesOf(path: string): Promise<RealVocabulary["samples"]> {
  const [texts, tokens] = await Promise.all(
    ["inp", "out"].map((suffix) => readFile(`${path}.${suffix}`, "utf8").catch(() => "")),
  );
  if (texts === "" || tokens === "") return [];
  const lines = tokens!.split("\n");
  return texts!.split("\n__ggml_vocab_test__\n").map((text, i) => ({
    text,
    tokens: lines[i]!.split(" ").filter(Boolean).map(Number),
  }));
}

/** @returns the folder with the files */
function fetched(): Promise<string> {
  return llamaCppPart("vocabularies-3.22.1", "models");
}

/**
 * A part of llama.cpp's repository, of the release that the package has.
 * @param name of the folder in the cache
 * @param part a path in the repository; its first folder becomes the one in the cache
 * @returns the folder
 */
export async function llamaCppPart(name: string, part: string): Promise<string> {
  const cache = testCache();
  const folder = join(cache, name);
  if (await readdir(folder).catch(() => null)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "fetching-"));
  try {
    await tool("npm", ["pack", PACKAGE, "--ignore-scripts", "--silent"], work);
    const hash = createHash("sha512");
    await pipeline(createReadStream(join(work, TARBALL)), hash);
    if (hash.digest("base64") !== INTEGRITY) throw new Error(`${PACKAGE} is not what it was`);
    await tool("tar", ["xzf", TARBALL, BUNDLE], work);
    await tool("git", ["clone", "--quiet", "--no-checkout", BUNDLE, "repository"], work);
    await tool("git", ["-C", "repository", "archive", "--output", "../part.tar", "HEAD", part], work);
    await tool("tar", ["xf", "part.tar"], work);
    // Another process may have been faster.
    await rename(join(work, part.split("/")[0]!), folder).catch(async (error) => {
      if (!(await readdir(folder).catch(() => null))) throw error;
    });
    return folder;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function tool(name: string, args: readonly string[], cwd: string): Promise<void> {
  await run(name, args, { cwd, maxBuffer: 16 * 2 ** 20 }).catch((error: Error) => {
    throw new Error(`real vocabularies are fetched with ${name}, and it failed: ${error.message}`);
  });
}
