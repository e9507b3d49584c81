import type { Failure, Outcome } from "../../device/isolation/outcome.ts";
import type { LoadedLibrary } from "../../device/isolation/requests.ts";
import { PINNED_PACKAGE_VERSIONS } from "../../engine/llama/abi.ts";
import type { InstalledBuild, PlatformBuilds } from "../../engine/llama/library.ts";
import { type Check, ok, problem, warning } from "./check.ts";

/** Checks of the llama.cpp library, on facts that come from elsewhere. */

export interface LibraryFacts {
  /** null: there is none for this platform */
  readonly builds: PlatformBuilds | null;
  /** as `--gpu auto` loads it */
  readonly auto: Outcome<LoadedLibrary>;
  /** as `--gpu off` loads it */
  readonly off: Outcome<LoadedLibrary>;
  /** a driver of NVIDIA runs */
  readonly nvidia: boolean;
}

const PINNED = PINNED_PACKAGE_VERSIONS[0]!;

export function libraryCheck({ builds, auto, off }: LibraryFacts): Check {
  if (!builds) {
    return problem("llama.cpp", "there is no build for this platform", "use another machine");
  }
  if (auto.ok) {
    const { build, version } = auto.value;
    return ok(
      "llama.cpp",
      `${named(builds, build)} loads: llama.cpp ${version}, whose structures PicoSpec knows`,
    );
  }
  const { failure } = auto;
  if (off.ok) {
    const advice = `remove ${builds.installed[0]?.name ?? "the GPU build"} or install ${PINNED} of it; until then give --gpu off`;
    return problem("llama.cpp", failure.message, advice);
  }
  return problem("llama.cpp", failure.message, libraryAdvice(failure, builds));
}

function libraryAdvice({ code }: Failure, { cpu, installed }: PlatformBuilds): string {
  if (installed.length === 0) {
    return `npm install ${cpu}@${PINNED}; npm ci --omit=optional leaves it out`;
  }
  if (code === "engine_version") return `npm install ${cpu}@${PINNED}: another version has other structures`;
  return "install the packages anew; on Linux the build needs glibc, which Alpine does not have";
}

export function gpuCheck({ builds, auto, nvidia }: LibraryFacts): Check {
  const gpuBuilds = builds?.installed.filter(({ gpu }) => gpu) ?? [];
  if (auto.ok && auto.value.usesGpu) return ok("gpu", `seen: passes run on it (${auto.value.build})`);
  if (gpuBuilds.length > 0) {
    const names = gpuBuilds
      .map(({ name, version }) => `${name} ${version ?? "(version unknown)"}`)
      .join(", ");
    const what = auto.ok ? "sees no GPU" : "does not load";
    return warning(
      "gpu",
      `${names} is installed and ${what}`,
      "check the GPU's driver (nvidia-smi, vulkaninfo), or give --gpu off",
    );
  }
  const wanted = builds?.gpu[0];
  if (nvidia && wanted) {
    return warning("gpu", "there is an NVIDIA driver and no GPU build", `npm install ${wanted}@${PINNED}`);
  }
  return ok("gpu", "no GPU build is installed: passes run on the CPU");
}

function named({ installed }: PlatformBuilds, build: string): string {
  const version = installed.find(({ name }: InstalledBuild) => name === build)?.version;
  return version ? `${build} ${version}` : build;
}
