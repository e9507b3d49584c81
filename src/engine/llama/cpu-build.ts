/**
 * Which of llama.cpp's CPU builds computes. A platform package carries several (for x64: sse42 to sapphirerapids), and
 * the library takes the best that the processor can run. They round differently, so near-ties move between them: texts
 * are equal only where this name is.
 */

/** A library of ggml's CPU backend, in a name or at the end of a path: `libggml-cpu-haswell.so`, `ggml-cpu-zen4.dll`. */
const CPU_LIBRARY = /(?:^|[\\/])(?:lib)?ggml-cpu-([\w.]+?)\.(?:so|dylib|dll)$/;

/** The build that a library file is, such as `haswell`; null: it is no CPU backend with a name of its own. */
export function cpuBuildOfFile(path: string): string | null {
  return CPU_LIBRARY.exec(path)?.[1] ?? null;
}

export interface CpuBuildTraces {
  /** `/proc/self/maps`; "" where there is none */
  readonly maps: string;
  /** `llama_print_system_info()` */
  readonly systemInfo: string;
  /** `process.arch` */
  readonly arch: string;
}

/**
 * Name of the loaded CPU build where the process's memory map tells it (Linux), such as `haswell`; else the instruction
 * sets that it was compiled for, such as `arm64: NEON, ARM_FMA`; `unknown` when neither can be told. Stable between runs
 * of one library on one machine.
 */
export function cpuBuildOf({ maps, systemInfo, arch }: CpuBuildTraces): string {
  const names = new Set(maps.split("\n").flatMap((line) => cpuBuildOfFile(line.trimEnd()) ?? []));
  if (names.size === 1) return [...names][0]!;
  const features = cpuFeatures(systemInfo);
  return features.length > 0 ? `${arch}: ${features.join(", ")}` : "unknown";
}

/** Of `CUDA : ARCHS = 890 | CPU : AVX = 1 | SVE_CNT = 16 | ` what is the CPU's: `AVX`, `SVE_CNT = 16`. */
function cpuFeatures(systemInfo: string): string[] {
  let backend = "";
  const features: string[] = [];
  for (const part of systemInfo.split("|")) {
    const [, named, feature] = /^(?:(\w+) :)?(.*)$/s.exec(part.trim())!;
    if (named !== undefined) backend = named;
    const text = feature!.trim().replace(/ = 1$/, "");
    if (backend === "CPU" && text !== "") features.push(text);
  }
  return features;
}

/**
 * The build that is taken in place of the one that ggml would choose: that of Sapphire Rapids computes with AMX, where a row
 * is not the same bits in every batch, and a hybrid model's may be no number at all (llama.cpp 3.22.1, random models of
 * qwen35 and lfm2). zen4's has all the other instructions of such a processor.
 * @param flags of the processor, as Linux has them in /proc/cpuinfo
 * @param builds that are installed
 * @returns null: ggml's own choice
 */
export function exactBuild(flags: string, builds: readonly string[]): string | null {
  const hasAmx = /\bamx_(?:int8|tile)\b/.test(flags);
  return hasAmx && builds.includes("zen4") ? "zen4" : null;
}
