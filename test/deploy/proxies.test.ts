import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestAuthority, testAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { DRAFTER, picospec, startCloud } from "../support/processes.ts";
import {
  type Certificate,
  haproxyConfiguration,
  nginxConfiguration,
  startHaproxy,
  startNginx,
} from "../support/proxies.ts";

/** nginx and HAProxy with the files of deploy/: they take them, refuse what they should, and pass the rest on. */

const folder = mkdtempSync(join(tmpdir(), "picospec-proxies-"));
let authority: TestAuthority;
let certificate: Certificate;
beforeAll(async () => {
  authority = await testAuthority(folder);
  certificate = await authority.certificate("proxy", 30);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a test has started, and is stopped after it, however it ended; the last first. */
const started: { stop(): Promise<unknown> }[] = [];
const own = <T extends { stop(): Promise<unknown> }>(one: T): T => {
  started.push(one);
  return one;
};
afterEach(async () => {
  for (const one of started.splice(0).reverse()) await one.stop();
});

const run = promisify(execFile);
const CLOUDS: readonly [number, number] = [1, 2];
const PROBED = CLOUDS.map((port) => ({ port, probes: port }));

/** Status of a request over TLS, without the check of the certificate: it is another test's. */
async function status(url: string, ...args: string[]): Promise<string> {
  const own = ["-sk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"];
  const asked = run("curl", [...own, ...args, url.replace("wss:", "https:")]);
  // What is upgraded does not end by itself, and curl calls that a failure.
  return (await asked.catch((error: { stdout: string }) => error)).stdout;
}

const UPGRADE = [
  ...["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"],
  ...["-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
];

async function answerOver(url: string): Promise<string> {
  const question = ["run", "2 + 3?", "--model", DRAFTER, "--temperature", "0", "--max-tokens", "16"];
  const { stdout, stderr, status } = await picospec([
    ...question,
    "--cloud",
    url,
    "--cloud-ca",
    authority.ca,
  ]);
  expect(status, stderr).toBe(0);
  return stdout;
}

/** A port that ends each connection, and one that says whether it is ready. */
class FakeCloud {
  ready = true;
  connections = 0;
  private readonly cloud = createTcpServer((socket) => {
    this.connections++;
    socket.on("error", () => {}).destroy();
  });
  private readonly health = createServer((_, response) => {
    response.writeHead(this.ready ? 200 : 503).end();
  });

  static async start(): Promise<FakeCloud> {
    const fake = new FakeCloud();
    for (const server of [fake.cloud, fake.health]) await once(server.listen(0, "127.0.0.1"), "listening");
    return fake;
  }

  get port(): number {
    return (this.cloud.address() as AddressInfo).port;
  }

  get probes(): number {
    return (this.health.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.health.closeAllConnections();
    await Promise.all([this.cloud, this.health].map((server) => once(server.close(), "close")));
  }
}

describe("nginx", () => {
  it("takes the file; the control, with a directive that there is not, is refused", async () => {
    const path = nginxConfiguration(folder, 8443, CLOUDS, certificate);
    const test = () => run("nginx", ["-t", "-q", "-c", path, "-p", folder, "-e", "stderr"]);
    expect((await test()).stderr).toBe("");
    const site = join(folder, "picospec.conf");
    writeFileSync(site, readFileSync(site, "utf8").replace("proxy_buffering", "proxy_bufering"));
    await expect(test()).rejects.toThrow(/unknown directive "proxy_bufering"/);
  });

  it("passes a cloud's refusal on, tells plain requests what it is for, and bounds handshakes", async () => {
    const nowhere = await freePort();
    const keys = join(folder, "keys");
    await picospec(["keys", "add", "alice", "--keys", keys]);
    const cloud = own(await startCloud(["--keys", keys]));
    const nginx = own(await startNginx(folder, [nowhere, cloud.port], certificate));
    expect(await status(nginx.url)).toBe("426");
    expect(await status(nginx.url, ...UPGRADE)).toBe("401");
    // 60 at once and 10 a second are let through.
    const many = Array.from({ length: 400 }, () => ["-o", "/dev/null", nginx.url.replace("wss:", "https:")]);
    const together = ["-sk", "--http1.1", "-Z", "--parallel-max", "40", "-w", "%{http_code}\n"];
    const { stdout } = await run("curl", [...together, ...UPGRADE, ...many.flat()]);
    expect(stdout).toMatch(/^401$/m);
    expect(stdout).toMatch(/^429$/m);
  });
});

describe("HAProxy", () => {
  it("takes the file; the control, with a keyword that there is not, is refused", async () => {
    const path = haproxyConfiguration(folder, 8443, PROBED, certificate);
    const test = () => run("haproxy", ["-c", "-f", path]);
    const { stdout, stderr } = await test();
    expect(stdout + stderr).not.toMatch(/WARNING|ALERT/);
    writeFileSync(path, readFileSync(path, "utf8").replace("balance leastconn", "ballance leastconn"));
    await expect(test()).rejects.toThrow(/ballance/);
  });

  it("sends edges to no cloud that says it is not ready; the control, one that is, gets them", async () => {
    const cloud = own(await startCloud());
    const other = own(await FakeCloud.start());
    other.ready = false;
    // The real one's probe is answered by another fake: here HAProxy is what is tested.
    const probe = own(await FakeCloud.start());
    const haproxy = own(
      await startHaproxy(
        folder,
        [
          { port: other.port, probes: other.probes },
          { port: cloud.port, probes: probe.probes },
        ],
        certificate,
      ),
    );
    await haproxy.hears("Server clouds/cloud-1 is DOWN");
    other.connections = 0;
    expect(await answerOver(haproxy.url)).not.toBe("");
    for (let i = 0; i < 4; i++) await status(haproxy.url, ...UPGRADE, "--max-time", "1");
    expect(other.connections).toBe(0);
    other.ready = true;
    await haproxy.hears("Server clouds/cloud-1 is UP");
    for (let i = 0; i < 4; i++) await status(haproxy.url, ...UPGRADE, "--max-time", "1");
    expect(other.connections).toBeGreaterThan(0);
  });

  it("refuses what is no handshake", async () => {
    const nowhere = { port: await freePort(), probes: await freePort() };
    const haproxy = own(await startHaproxy(folder, [nowhere, nowhere], certificate));
    expect(await status(haproxy.url)).toBe("400");
  });
});
