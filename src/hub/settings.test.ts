import { describe, expect, it } from "vitest";
import { hubSettings } from "./settings.ts";

const folder = (environment: Record<string, string>, platform: string, home = "/home/u") =>
  hubSettings(environment, platform, home).cacheFolder;

describe("where models are kept", () => {
  it("is the platform's cache folder", () => {
    expect(folder({}, "linux")).toBe("/home/u/.cache/picospec/models");
    expect(folder({ XDG_CACHE_HOME: "/x" }, "linux")).toBe("/x/picospec/models");
    expect(folder({}, "darwin", "/Users/u")).toBe("/Users/u/Library/Caches/picospec/models");
    expect(folder({ LOCALAPPDATA: "C:\\L" }, "win32")).toBe("C:\\L\\picospec\\models");
    expect(folder({}, "win32", "C:\\u")).toBe("C:\\u\\AppData\\Local\\picospec\\models");
  });

  it("is PICOSPEC_CACHE where that is set, and an empty or a relative variable counts as none", () => {
    const set = { PICOSPEC_CACHE: "/disk", XDG_CACHE_HOME: "/x" };
    for (const platform of ["linux", "darwin"]) expect(folder(set, platform)).toBe("/disk/models");
    expect(folder({ PICOSPEC_CACHE: "", XDG_CACHE_HOME: "x" }, "linux")).toBe(
      "/home/u/.cache/picospec/models",
    );
  });
});

describe("the hub", () => {
  const endpoint = (PICOSPEC_HF_ENDPOINT: string, HF_TOKEN = "") =>
    hubSettings({ PICOSPEC_HF_ENDPOINT, HF_TOKEN }, "linux", "/").endpoint;

  it("is Hugging Face's, or a mirror", () => {
    expect(endpoint("")).toBe("https://huggingface.co");
    expect(endpoint("https://mirror.example.org/hf/")).toBe("https://mirror.example.org/hf");
    expect(endpoint("http://mirror.example.org")).toBe("http://mirror.example.org");
  });

  it("gets no token in the clear, except on this machine", () => {
    expect(() => endpoint("http://mirror.example.org", "secret")).toThrow(/in the clear to http:\/\/mirror/);
    expect(() => endpoint("http://127.0.0.1.example.org", "secret")).toThrow(/in the clear/);
    for (const host of ["127.0.0.1:80", "localhost:1", "[::1]:1"]) endpoint(`http://${host}`, "secret");
  });

  it("is told a token without what a file of it leaves around, and none that cannot be one", () => {
    expect(hubSettings({ HF_TOKEN: " hf_x\n" }, "linux", "/").token).toBe("hf_x");
    for (const HF_TOKEN of ["hf_\nx", "hf x"]) {
      expect(() => hubSettings({ HF_TOKEN }, "linux", "/")).toThrow(/^HF_TOKEN is no token: [^x]*$/);
    }
  });

  it.each(["mirror", "ftp://x", "file:///x", "https://u:p@x", "https://x?y"])("is not %s", (text) => {
    expect(() => endpoint(text)).toThrow(/PICOSPEC_HF_ENDPOINT is no address of a hub/);
  });
});
