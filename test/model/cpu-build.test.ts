import { afterEach, expect, it, vi } from "vitest";
import { loadLibrary } from "../../src/engine/llama/library.ts";

/** Which CPU build of llama.cpp is loaded, and that PICOSPEC_CPU_BUILD chooses it. A process loads one. */

afterEach(() => {
  vi.unstubAllEnvs();
});

/** With PICOSPEC_CPU_BUILD set. null: the processor cannot run that build. */
function loadedWith(build: string): string | null {
  vi.stubEnv("PICOSPEC_CPU_BUILD", build);
  try {
    return loadLibrary("off").cpuBuild;
  } catch (error) {
    expect(error).toMatchObject({ code: "no_engine" });
    return null;
  }
}

it("PICOSPEC_CPU_BUILD chooses the build, and what is not there or cannot run is refused by name", () => {
  vi.stubEnv("PICOSPEC_CPU_BUILD", "none-such");
  let listed: string[] = [];
  expect(() => loadLibrary("off")).toThrowError(
    expect.objectContaining({
      code: "no_engine",
      message: expect.stringMatching(/^PICOSPEC_CPU_BUILD is none-such, which is not installed; unset it/),
    }),
  );
  try {
    loadLibrary("off");
  } catch (error) {
    listed = /name another of: (.*)$/.exec((error as Error).message)![1]!.split(", ");
  }
  // From the plainest: the last that llama.cpp would take by itself.
  for (const build of [...listed].sort((a, b) => Number(b === "x64") - Number(a === "x64"))) {
    const cpuBuild = loadedWith(build);
    if (cpuBuild === null) continue;
    if (process.platform === "linux") expect(cpuBuild).toBe(build);
    expect(cpuBuild).not.toBe("unknown");
    return;
  }
  // Where a package has one build without a name (macOS), it is told by its instruction sets.
  expect(listed).toEqual(["none"]);
  vi.stubEnv("PICOSPEC_CPU_BUILD", "");
  expect(loadLibrary("off").cpuBuild).toMatch(/^(arm64|x64): /);
});
