import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WS from "ws";
import { type TestAuthority, testAuthority } from "../support/certificates.ts";
import { readExposition } from "../support/exposition.ts";
import { DRAFTER, picospec, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";

/** Keys, TLS and origins, as an operator and a user meet them: real processes, real certificates. */

const folder = mkdtempSync(join(tmpdir(), "picospec-keys-"));
const file = (name: string) => join(folder, name);
const QUESTION = ["run", "2 + 3?", "--model", DRAFTER, "--temperature", "0", "--max-tokens", "24"];

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function newKey(name: string, ...limits: string[]): Promise<string> {
  const { status, stdout, stderr } = await picospec(["keys", "add", name, "--keys", file("keys"), ...limits]);
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

const ask = (cloud: RunningCloud, ...args: string[]) =>
  picospec([...QUESTION, "--cloud", cloud.url, ...args]);

/** Asks until the outcome is another one: the cloud looks at its files every second. */
async function until(attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 30; tries++) if (await attempt()) return;
  throw new Error("the change was not seen");
}

describe("picospec keys", () => {
  it("keeps hashes only, readable by the owner alone, and shows a key once", async () => {
    const key = await newKey("first", "--sessions", "3");
    expect(key).toMatch(/^pico-[\w-]{43}$/);
    const text = readFileSync(file("keys"), "utf8");
    expect(text).not.toContain(key.slice(5));
    expect(statSync(file("keys")).mode & 0o777).toBe(0o600);
    const { stdout } = await picospec(["keys", "list", "--keys", file("keys"), "--json"]);
    expect(JSON.parse(stdout)).toMatchObject([{ name: "first", weight: 1, limits: { sessions: 3 } }]);
    expect(stdout).not.toContain(key.slice(5));
  });

  it.each([
    [["keys", "add", "first", "--keys", file("keys")], 2, /first has a key already/],
    [["keys", "add", "a b", "--keys", file("keys")], 2, /letters, digits/],
    [["keys", "add", "--keys", file("keys")], 2, /takes a name/],
    [["keys", "list", "--sessions", "3", "--keys", file("keys")], 2, /--sessions is for add/],
    [["keys", "revoke", "nemo", "--keys", file("keys")], 2, /no key of nemo/],
    [["keys", "list", "--keys", file("none")], 1, /cannot read .*none \(ENOENT\); give a file of keys/],
    [["keys", "add", "x", "--keys", file("no/folder")], 1, /cannot write .*ENOENT/],
  ])("%j: says what is wrong", async (args, status, message) => {
    const finished = await picospec(args);
    expect(finished.stderr).toMatch(message);
    expect(finished.status).toBe(status);
  });

  it("tells a file that is broken by its line, and leaves it as it is", async () => {
    writeFileSync(file("broken"), "alice md5:12\n");
    for (const args of [["list"], ["add", "bob"], ["revoke", "alice"]]) {
      const { stderr, status } = await picospec(["keys", ...args, "--keys", file("broken")]);
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/broken: line 1: after the name comes sha256/),
      ]);
    }
    expect(readFileSync(file("broken"), "utf8")).toBe("alice md5:12\n");
    expect(existsSync(`${file("broken")}.new`)).toBe(false);
  });
});

describe("a cloud with keys", () => {
  let cloud: RunningCloud;
  let [good, small, metered, revoked] = ["", "", "", ""];

  beforeAll(async () => {
    good = await newKey("good");
    small = await newKey("small", "--prompt-tokens", "5");
    metered = await newKey("metered", "--tokens-per-minute", "10");
    revoked = await newKey("revoked");
    cloud = await startCloud(["--keys", file("keys"), "--hardware", "standard", "--metrics-port", "0"]);
  });
  afterAll(() => cloud.stop());

  it("serves one that brings its key, by option and by environment", async () => {
    const { status, stderr } = await ask(cloud, "--cloud-key", good);
    expect(status, stderr).toBe(0);
  });

  it("refuses one without, and one with a wrong key, each in one line", async () => {
    const without = await ask(cloud);
    expect(without.stderr).toBe(
      "picospec: this cloud wants a key: give it with --cloud-key or PICOSPEC_CLOUD_KEY\n",
    );
    const wrong = await ask(cloud, "--cloud-key", `${good}x`);
    expect(wrong.stderr).toBe("picospec: this cloud does not know the key: ask its operator for another\n");
    expect([without.status, wrong.status]).toEqual([1, 1]);
    const url = /metrics on (http:\S+)/.exec(cloud.said)![1]!;
    const { samples } = readExposition(await (await fetch(url)).text());
    expect(samples.get('picospec_cloud_handshakes_refused_total{code="bad_key"}')).toBe(2);
  });

  it("refuses what is over a key's limits", async () => {
    const long = await ask(cloud, "--cloud-key", small);
    expect([long.status, long.stderr]).toEqual([1, expect.stringMatching(/this key may send 5; shorten it/)]);
    expect((await ask(cloud, "--cloud-key", metered)).status).toBe(0);
    const over = await ask(cloud, "--cloud-key", metered);
    expect([over.status, over.stderr]).toEqual([
      1,
      expect.stringMatching(/has used up its 10 tokens a minute; try again in \d+ s/),
    ]);
  });

  it("tells clients of an edge when to come back", async () => {
    const edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER, "--cloud-key", metered]);
    try {
      const body = JSON.stringify({ messages: [{ role: "user", content: "2 + 3?" }], max_tokens: 20 });
      const headers = { "content-type": "application/json" };
      const post = () => fetch(`${edge.url}/chat/completions`, { method: "POST", headers, body });
      const response = await post();
      expect(response.status).toBe(429);
      expect(await response.json()).toMatchObject({
        error: { code: "quota_exceeded", type: "rate_limit_error" },
      });
      // 10 tokens a minute: the tokens of the answer before have to be made up for. Without a word of the cloud it is 1.
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(5);
    } finally {
      await edge.stop();
    }
  });

  it("lets browsers bring the key as a subprotocol, and never repeats it", async () => {
    const protocols = ["picospec", `picospec-key.${good}`];
    const socket = new WS(cloud.url, protocols);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    expect(socket.protocol).toBe("picospec");
    socket.terminate();
  });

  it("refuses web pages that are not on its list, whatever key they bring", async () => {
    const refusal = (options: object) =>
      new Promise<string>((resolve) => {
        const socket = new WS(cloud.url, options).on("error", () => {});
        socket.once("unexpected-response", (_, response) => {
          let text = `${response.statusCode} `;
          response.on("data", (chunk: Buffer) => (text += chunk.toString())).on("end", () => resolve(text));
        });
      });
    const page = { origin: "https://evil.example", headers: { authorization: `Bearer ${good}` } };
    expect(await refusal(page)).toMatch(/^403 .*"code":"origin_not_allowed".*evil\.example may not connect/);
  });

  it("ends connections of a key that is revoked, and serves a new one, without a restart", async () => {
    const edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER, "--cloud-key", revoked]);
    try {
      const body = JSON.stringify({ messages: [{ role: "user", content: "2 + 3?" }], max_tokens: 8 });
      const status = async () =>
        (await fetch(`${edge.url}/chat/completions`, { method: "POST", body })).status;
      expect(await status()).toBe(200);
      await picospec(["keys", "revoke", "revoked", "--keys", file("keys")]);
      await until(async () => (await status()) !== 200);
      const late = await newKey("late");
      await until(async () => (await ask(cloud, "--cloud-key", late)).status === 0);
      expect((await ask(cloud, "--cloud-key", good)).status).toBe(0);
    } finally {
      await edge.stop();
    }
  });
});

describe("a cloud that does not start", () => {
  it.each([
    [["--keys", file("none")], 1, /cannot read .*none \(ENOENT\)/],
    [["--keys", file("broken")], 1, /broken: line 1:/],
    [["--tls-cert", file("none")], 2, /TLS needs both --tls-cert and --tls-key/],
    [["--tls-cert", file("keys"), "--tls-key", file("keys")], 1, /do not serve TLS \(.*\); give both as PEM/],
  ])("%j: says why", async (args, status, message) => {
    await expect(startCloud(args)).rejects.toThrow(message);
    expect(status).toBeGreaterThan(0);
  });

  it("warns on its first line where everybody on the network can use it", async () => {
    const open = await startCloud(["--host", "0.0.0.0"]);
    const { stderr } = await open.stop();
    expect(stderr).toMatch(/^warning: everybody who reaches 0\.0\.0\.0 can use this cloud/);
  });
});

describe("TLS", () => {
  let authority: TestAuthority;
  let cloud: RunningCloud;
  const [cert, key] = [file("cloud.pem"), file("cloud.key")];
  const install = (from: { cert: string; key: string }) => {
    copyFileSync(from.key, key);
    copyFileSync(from.cert, cert);
  };

  beforeAll(async () => {
    authority = await testAuthority(folder);
    install(await authority.certificate("good", 30));
    cloud = await startCloud(["--tls-cert", cert, "--tls-key", key]);
  });
  afterAll(() => cloud.stop());

  it("is trusted through the authority that the edge is given, and not without", async () => {
    expect(cloud.url).toMatch(/^wss:/);
    const { status, stderr } = await ask(cloud, "--cloud-ca", authority.ca);
    expect(status, stderr).toBe(0);
    const stranger = await ask(cloud);
    expect([stranger.status, stranger.stderr]).toEqual([
      1,
      expect.stringMatching(
        /^picospec: the certificate of 127\.0\.0\.1:\d+ comes from an authority .*--cloud-ca\n$/,
      ),
    ]);
  });

  it("says so where one side speaks it and the other does not", async () => {
    const plain = await picospec([...QUESTION, "--cloud", cloud.url.replace("wss:", "ws:")]);
    expect([plain.status, plain.stderr]).toEqual([
      1,
      expect.stringMatching(/^picospec: no cloud answers at/),
    ]);
    const open = await startCloud();
    try {
      const { stderr } = await picospec([...QUESTION, "--cloud", open.url.replace("ws:", "wss:")]);
      expect(stderr).toMatch(/does not speak TLS .*is its address ws:\/\//);
    } finally {
      await open.stop();
    }
  });

  it("takes a new certificate without a restart, and an expired one is told", async () => {
    install(await authority.certificate("old", -1));
    await until(async () => /has expired/.test((await ask(cloud, "--cloud-ca", authority.ca)).stderr));
    install(await authority.certificate("new", 30));
    await until(async () => (await ask(cloud, "--cloud-ca", authority.ca)).status === 0);
  });
});
