import { describe, expect, it } from "vitest";
import type { Outcome } from "../../device/isolation/outcome.ts";
import type { LoadedLibrary } from "../../device/isolation/requests.ts";
import { PINNED_PACKAGE_VERSIONS } from "../../engine/llama/abi.ts";
import type { PlatformBuilds } from "../../engine/llama/library.ts";
import { gpuCheck, type LibraryFacts, libraryCheck } from "./library.ts";

const CPU = "@node-llama-cpp/linux-x64";
const CUDA = "@node-llama-cpp/linux-x64-cuda";
const BUILDS: PlatformBuilds = {
  gpu: [CUDA],
  cpu: CPU,
  installed: [{ name: CPU, version: "3.21.1", gpu: false }],
};
const WITH_GPU: PlatformBuilds = {
  ...BUILDS,
  installed: [{ name: CUDA, version: "3.0.0", gpu: true }, ...BUILDS.installed],
};

const loaded = (build = CPU, usesGpu = false): Outcome<LoadedLibrary> => ({
  ok: true,
  value: { build, version: "0.4.0", usesGpu },
});
const failure = (code: string): Outcome<never> => ({ ok: false, failure: { code, message: "it does not" } });
const facts = (given: Partial<LibraryFacts> = {}): LibraryFacts => ({
  ...{ builds: BUILDS, auto: loaded(), off: loaded(), nvidia: false },
  ...given,
});

describe("the library", () => {
  it("says which build it is", () => {
    expect(libraryCheck(facts())).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/^@node-llama-cpp\/linux-x64 3\.21\.1 loads: llama\.cpp 0\.4\.0/),
    });
  });

  it("is a problem where there is none for the platform, or none installed", () => {
    expect(libraryCheck(facts({ builds: null })).status).toBe("problem");
    const none = facts({
      ...{ builds: { ...BUILDS, installed: [] }, auto: failure("no_engine"), off: failure("no_engine") },
    });
    expect(libraryCheck(none)).toMatchObject({
      status: "problem",
      detail: "it does not",
      advice: expect.stringContaining(`npm install ${CPU}@${PINNED_PACKAGE_VERSIONS[0]}`),
    });
  });

  it("is a problem where its structures are others", () => {
    const other = facts({ auto: failure("engine_version"), off: failure("engine_version") });
    expect(libraryCheck(other)).toMatchObject({
      status: "problem",
      advice: expect.stringContaining("other structures"),
    });
  });

  it("is a problem where it does not load, for example without glibc", () => {
    const broken = facts({ auto: failure("no_engine"), off: failure("no_engine") });
    expect(libraryCheck(broken)).toMatchObject({
      status: "problem",
      advice: expect.stringContaining("glibc"),
    });
  });

  it("is a problem where only the GPU build does not load, and --gpu off is the way around", () => {
    const broken = facts({ builds: WITH_GPU, auto: failure("engine_version") });
    expect(libraryCheck(broken)).toMatchObject({
      status: "problem",
      advice: expect.stringMatching(/linux-x64-cuda .*--gpu off/),
    });
  });
});

describe("the GPU", () => {
  it("is seen, or there is none and that is fine", () => {
    expect(gpuCheck(facts({ auto: loaded(CUDA, true) }))).toMatchObject({
      status: "ok",
      detail: expect.stringContaining(CUDA),
    });
    expect(gpuCheck(facts()).status).toBe("ok");
    expect(gpuCheck(facts({ builds: null, nvidia: true })).status).toBe("ok");
  });

  it("has a warning where a GPU build sees none, or does not load", () => {
    expect(gpuCheck(facts({ builds: WITH_GPU, auto: loaded(CUDA) }))).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("sees no GPU"),
    });
    expect(gpuCheck(facts({ builds: WITH_GPU, auto: failure("no_engine") }))).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("does not load"),
    });
  });

  it("has a warning where a GPU lies idle", () => {
    expect(gpuCheck(facts({ nvidia: true }))).toMatchObject({
      status: "warning",
      advice: expect.stringContaining(`npm install ${CUDA}@`),
    });
  });
});
