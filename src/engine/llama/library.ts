import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import koffi, { type LibraryHandle } from "koffi";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import {
  bindLlama,
  type LlamaApi,
  PINNED_LLAMA_VERSIONS,
  PINNED_PACKAGE_VERSIONS,
  type Pointer,
} from "./abi.ts";
import { cpuBuildOf, cpuBuildOfFile, exactBuild } from "./cpu-build.ts";

/** `auto` takes an installed GPU build when there is one. */
export type GpuChoice = "auto" | "off";

export interface LlamaLibrary {
  readonly api: LlamaApi;
  /** the platform package that it came from */
  readonly build: string;
  readonly version: string;
  /** passes run on a GPU */
  readonly usesGpu: boolean;
  /** the CPU build that it loaded, such as `haswell`; `unknown` when it cannot be told; see cpu-build.ts */
  readonly cpuBuild: string;
}

/** Packages of each platform: GPU builds first, the plain build last. */
const BUILDS: Record<string, { readonly gpu: readonly string[]; readonly cpu: string }> = {
  "linux-x64": { gpu: ["linux-x64-cuda", "linux-x64-vulkan"], cpu: "linux-x64" },
  "linux-arm64": { gpu: [], cpu: "linux-arm64" },
  "darwin-arm64": { gpu: [], cpu: "mac-arm64-metal" },
  "darwin-x64": { gpu: [], cpu: "mac-x64" },
  "win32-x64": { gpu: ["win-x64-cuda", "win-x64-vulkan"], cpu: "win-x64" },
  "win32-arm64": { gpu: [], cpu: "win-arm64" },
};

export interface InstalledBuild {
  /** the platform package */
  readonly name: string;
  /** null: unknown */
  readonly version: string | null;
  readonly gpu: boolean;
}

export interface PlatformBuilds {
  /** packages with a GPU build that could be installed */
  readonly gpu: readonly string[];
  readonly cpu: string;
  readonly installed: readonly InstalledBuild[];
}

let loaded: LlamaLibrary | null = null;

/**
 * Loads llama.cpp. A process has one build of it: the first call decides which.
 * @throws EngineError `no_engine`, `engine_version`
 */
export function loadLibrary(gpu: GpuChoice): LlamaLibrary {
  loaded ??= load(gpu);
  return loaded;
}

/** The builds of llama.cpp for this machine, without loading any. null: there is none for it. */
export function platformBuilds(): PlatformBuilds | null {
  const builds = BUILDS[`${process.platform}-${process.arch}`];
  if (!builds) return null;
  const gpu = builds.gpu.map((name) => `@node-llama-cpp/${name}`);
  const cpu = `@node-llama-cpp/${builds.cpu}`;
  const installed = [...gpu, cpu].flatMap((name): InstalledBuild[] => {
    const folder = binaries(name);
    return folder ? [{ name, version: versionOf(folder), gpu: name !== cpu }] : [];
  });
  return { gpu, cpu, installed };
}

/** @param folder of a platform package's libraries: `bins/<platform>` */
function versionOf(folder: string): string | null {
  try {
    return String(JSON.parse(readFileSync(join(folder, "..", "..", "package.json"), "utf8")).version);
  } catch {
    return null;
  }
}

function load(gpu: GpuChoice): LlamaLibrary {
  const platform = `${process.platform}-${process.arch}`;
  const builds = BUILDS[platform];
  if (!builds) throw new EngineError("no_engine", `there is no build of llama.cpp for ${platform}`);
  const names = gpu === "auto" ? [...builds.gpu, builds.cpu] : [builds.cpu];
  for (const name of names) {
    const folder = binaries(`@node-llama-cpp/${name}`);
    if (folder) return open(`@node-llama-cpp/${name}`, folder);
  }
  const wanted = `@node-llama-cpp/${builds.cpu}@${PINNED_PACKAGE_VERSIONS[0]}`;
  throw new EngineError("no_engine", `llama.cpp is not installed: run npm install ${wanted}`);
}

/** The folder of a platform package's libraries, wherever it is installed: beside PicoSpec or in the user's project. */
function binaries(name: string): string | null {
  const places = [import.meta.url, pathToFileURL(join(process.cwd(), "x.js")).href];
  for (const place of places) {
    try {
      // The packages hide package.json: their main entry leads to the binaries.
      const folder = join(dirname(createRequire(place).resolve(name)), "..", "bins");
      const inner = existsSync(folder) ? readdirSync(folder)[0] : undefined;
      if (inner) return join(folder, inner);
    } catch {
      // not installed there
    }
  }
  return null;
}

function open(build: string, folder: string): LlamaLibrary {
  const files = readdirSync(folder);
  const library = (pattern: RegExp): LibraryHandle | null => {
    const file = files.find((name) => pattern.test(name));
    return file ? koffi.load(join(folder, file), { global: true }) : null;
  };
  let api: LlamaApi;
  try {
    // In this order, with global symbols: each needs the one before it. File names carry a version.
    library(/^(lib)?ggml-base\b.*\.(so|dylib|dll)$/);
    const ggml = library(/^(lib)?ggml\.?(?!-).*\.(so|dylib|dll)$/);
    const llama = library(/^(lib)?llama\.?(?!-).*\.(so|dylib|dll)$/);
    if (!ggml || !llama) throw new Error(`no libllama among ${files.join(", ")}`);
    api = bindLlama(llama);
    silence(llama, api);
    loadBackends(ggml, folder, files);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("no_engine", `${build} cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
  const version = api.version();
  if (!PINNED_LLAMA_VERSIONS.includes(version) || !defaultsFit(api)) {
    const ours = `${PINNED_LLAMA_VERSIONS.join(" or ")} (${build}@${PINNED_PACKAGE_VERSIONS.join(" or ")})`;
    throw new EngineError(
      "engine_version",
      `${build} holds llama.cpp ${version}, and PicoSpec needs ${ours}`,
    );
  }
  return { api, build, version, usesGpu: api.supportsGpu(), cpuBuild: loadedCpuBuild(api) };
}

/**
 * All of a folder, and of its CPU builds the best for this processor; or the one that PICOSPEC_CPU_BUILD names and
 * nothing else, so that machines with different processors compute the same bits.
 */
function loadBackends(ggml: LibraryHandle, folder: string, files: readonly string[]): void {
  const asked = process.env.PICOSPEC_CPU_BUILD;
  const load = (file: string) =>
    ggml.func("ggml_backend_load", "void *", ["const char *"])(join(folder, file)) !== null;
  const fileOf = (build: string) => files.find((name) => cpuBuildOfFile(name) === build);
  const installed = files.flatMap((name) => cpuBuildOfFile(name) ?? []);
  if (!asked) {
    const exact = exactBuild(textOf("/proc/cpuinfo"), installed);
    if (exact !== null && load(fileOf(exact)!)) {
      for (const file of files.filter((name) => OTHER_BACKEND.test(name))) load(file);
      return;
    }
    ggml.func("ggml_backend_load_all_from_path", "void", ["const char *"])(folder);
    return;
  }
  const file = fileOf(asked);
  if (file && load(file)) return;
  const builds = installed.join(", ") || "none";
  const why = file ? "and this processor cannot run it" : "which is not installed";
  const next = `unset it, or name another of: ${builds}`;
  throw new EngineError("no_engine", `PICOSPEC_CPU_BUILD is ${asked}, ${why}; ${next}`);
}

/** Of a GPU, for example. */
const OTHER_BACKEND = /^(?:lib)?ggml-(?!base\b|cpu\b)[\w-]+\.(?:so|dll|dylib)/;

/** @returns "" where there is no such file: it is not Linux */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function loadedCpuBuild(api: LlamaApi): string {
  return cpuBuildOf({
    ...{ maps: textOf("/proc/self/maps"), arch: process.arch },
    systemInfo: api.systemInfo(),
  });
}

/**
 * llama.cpp logs from threads of its own, where a JavaScript callback can deadlock. A native function that
 * ignores its arguments takes the messages: this one only returns a constant.
 */
function silence(llama: LibraryHandle, api: LlamaApi): void {
  if (process.env.PICOSPEC_LLAMA_LOG) return;
  api.logSet(llama.symbol("llama_max_devices") as Pointer, null);
}

/** Non-zero defaults from both ends of the structures: a layout that has moved gives others. */
function defaultsFit(api: LlamaApi): boolean {
  const model = api.modelDefaultParams();
  const context = api.contextDefaultParams();
  return (
    model.n_gpu_layers === -1 &&
    !model.vocab_only &&
    model.use_extra_bufts &&
    context.n_ctx === 512 &&
    context.n_batch === 2048 &&
    context.type_k === 1 &&
    context.op_offload &&
    context.swa_full &&
    !context.kv_unified
  );
}
