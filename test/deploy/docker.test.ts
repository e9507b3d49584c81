import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuiltImage, buildImage, ignores } from "../support/docker-build.ts";
import { freePort } from "../support/free-port.ts";
import { TARGET } from "../support/processes.ts";

/** The Dockerfile, step by step, each stage in a folder: its commands are run, and what they leave is what runs. */

const DOCKERFILE = "deploy/docker/Dockerfile";

const folder = mkdtempSync(join(tmpdir(), "picospec-image-"));
let image: BuiltImage;
beforeAll(async () => {
  image = await buildImage(DOCKERFILE, folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the build's context", () => {
  const ignored = ignores(readFileSync(`${DOCKERFILE}.dockerignore`, "utf8"));

  it.each([
    "keys.txt",
    "deploy/docker/keys.txt",
    "deploy/docker/tls/tls.key",
    ".git/config",
    "models/x.gguf",
  ])("does not have %s", (path) => {
    expect(ignored(path)).toBe(true);
  });

  it("has the sources, without their tests", () => {
    expect(["src/node.ts", "lab/index.ts", "bin/picospec.js", "LICENSE"].filter(ignored)).toEqual([]);
    expect(ignored("src/cloud/trust/keys.test.ts")).toBe(true);
  });
});

describe("the image", () => {
  it("starts from a pinned Node, and ends as a user without rights", () => {
    expect(image.bases).toEqual(Array(3).fill("node:20-bookworm-slim"));
    expect(image.user).toBe("node");
    expect(image.stopSignal).toBe("SIGTERM");
  });

  it("has what runs, and neither models, sources nor what only development needs", () => {
    const app = join(image.root, "app");
    expect(readdirSync(app).sort()).toEqual(
      ["LICENSE", "bin", "dist", "engines", "node_modules", "package.json"].sort(),
    );
    const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
    const there = (name: string) => existsSync(join(app, "node_modules", name));
    expect(Object.keys(dependencies).filter((name) => !there(name))).toEqual([]);
    const needless = Object.keys(devDependencies).filter((name) => there(name));
    expect(needless.filter((name) => name !== "ajv")).toEqual([]);
    const files = readdirSync(image.root, { recursive: true }) as string[];
    expect(files.filter((name) => name.endsWith(".gguf") || /picospec.*\.test\./.test(name))).toEqual([]);
  });

  it("serves, is healthy while it does, and ends by its signal with 0", async () => {
    const [port, metrics] = [await freePort(), await freePort()];
    const changes = { "/models/target.gguf": TARGET, "4747": String(port), "9464": String(metrics) };
    const health = () => image.health({ "9464": String(metrics) });
    expect(await health()).toBe(1);
    const cloud = await image.start(changes);
    try {
      expect(cloud.said).toContain(`listening on ws://0.0.0.0:${port}`);
      expect(await health()).toBe(0);
    } finally {
      cloud.kill(image.stopSignal);
    }
    expect(await cloud.ended).toBe(0);
    expect(await health()).toBe(1);
  });
});
