import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Finished, finished } from "../support/processes.ts";

/** What CI does about the packages that users install: an audit, and a list. */

const script = (name: string, env: NodeJS.ProcessEnv = {}) =>
  finished(spawn(process.execPath, [`scripts/${name}.mjs`], { env: { ...process.env, ...env } }));

type Advisories = Readonly<Record<string, readonly object[]>>;

/**
 * `npm run audit` against a registry of the test's own.
 * @param advisories null: it has no endpoint for audits
 * @returns what it said, and the packages that it asked about
 */
async function audit(advisories: Advisories | null): Promise<Finished & { readonly asked: string[] }> {
  let asked: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const isBulk = request.url === "/-/npm/v1/security/advisories/bulk";
      if (!isBulk || advisories === null) {
        response.writeHead(isBulk ? 405 : 404).end("{}");
        return;
      }
      const body = Buffer.concat(chunks);
      const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
      asked = Object.keys(JSON.parse(text.toString()));
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(advisories));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  // npm keeps advisories: the user's cache must not get these.
  const cache = mkdtempSync(join(tmpdir(), "picospec-audit-"));
  const npmFor = (registry: string) => ({
    ...{ npm_config_registry: registry, npm_config_cache: cache, npm_config_fetch_retries: "0" },
  });
  try {
    return { ...(await script("audit", npmFor(`http://127.0.0.1:${port}`))), asked };
  } finally {
    server.close();
    rmSync(cache, { recursive: true, force: true });
  }
}

const advisory = (severity: string) => ({
  ws: [{ id: 1, url: "https://example.org/1", title: "a hole", severity, vulnerable_versions: "*" }],
});

describe("npm run audit", () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));

  it("asks about every dependency and passes where the registry knows of nothing", async () => {
    const { status, stdout, stderr, asked } = await audit({});
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/no known vulnerability/);
    expect(Object.keys(dependencies).filter((name) => !asked.includes(name))).toEqual([]);
    expect(Object.keys(devDependencies)).not.toEqual([]);
  });

  it("fails for a high one, and not for a moderate one", async () => {
    const high = await audit(advisory("high"));
    expect(high.stdout).toMatch(/ws .*[\s\S]*a hole/);
    expect(high.status).toBe(1);
    expect((await audit(advisory("moderate"))).status).toBe(0);
  });

  it("says so where the registry has no such endpoint, and passes", async () => {
    const { status, stdout } = await audit(null);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^audit: NOT AUDITED/m)]);
  });
});

describe("npm run sbom", () => {
  it("lists every dependency with version and hash, in CycloneDX, and nothing of development", async () => {
    const { status, stdout, stderr } = await script("sbom");
    expect(status, stderr).toBe(0);
    const path = /^(\S+):/.exec(stdout)![1]!;
    const bom = JSON.parse(readFileSync(path, "utf8"));
    expect(bom).toMatchObject({ bomFormat: "CycloneDX", metadata: { component: { name: "picospec" } } });
    const packages = JSON.parse(readFileSync("package.json", "utf8"));
    const components: { group?: string; name: string; version: string; hashes: unknown[] }[] = bom.components;
    const names = components.map(({ group, name }) => (group ? `${group}/${name}` : name));
    const wanted = Object.keys({ ...packages.dependencies, ...packages.optionalDependencies });
    expect(wanted.filter((name) => !names.includes(name))).toEqual([]);
    expect(components.filter(({ version, hashes }) => !version || hashes.length === 0)).toEqual([]);
    expect(names.filter((name) => ["typescript", "vitest", "@biomejs/biome"].includes(name))).toEqual([]);
  });
});
