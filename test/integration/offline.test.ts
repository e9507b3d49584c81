import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, picospec, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

/** Edges whose clouds are away, come, die and differ, as processes. */

const STORY = [{ role: "user", content: "Tell me a story about a frog and a lantern." }];

interface Chat {
  readonly model: string;
  readonly system_fingerprint?: string;
  readonly choices: readonly { readonly message: { readonly content: string } }[];
}

const ask = (edge: RunningCloud, more: object = {}) =>
  fetch(`${edge.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: STORY, temperature: 0, max_tokens: 24, ...more }),
  });
const answer = async (response: Response) => (await response.json()) as Chat;
const textOf = async (response: Response) => (await answer(response)).choices[0]!.message.content;
const by = (response: Response) => response.headers.get("x-picospec-answered-by");
const health = async (edge: RunningCloud) =>
  (await (await fetch(edge.url.replace("/v1", "/health"))).json()) as Record<string, unknown>;

/** A port where no cloud listens yet. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** What is stopped after a test, whatever became of it. */
const running: RunningCloud[] = [];
const kept = async (starting: Promise<RunningCloud>) => {
  const one = await starting;
  running.push(one);
  return one;
};

describe("an edge that starts before its cloud", () => {
  it.each(["wait", "edge", "fail"] as const)("--offline %s", async (offline) => {
    const port = await freePort();
    const args = ["--cloud", `ws://127.0.0.1:${port}`, "--model", DRAFTER, "--offline", offline];
    const edge = await kept(startEdge([...args, "--reconnect", "60"]));
    expect(await health(edge)).toMatchObject({ status: "ok", cloud: "down", offline });
    const first = offline === "wait" ? ask(edge) : await ask(edge);
    if (first instanceof Response && offline === "edge") {
      expect([first.status, by(first)]).toEqual([200, "edge"]);
      expect(await answer(first)).toMatchObject({ model: "edge", system_fingerprint: "picospec-edge-alone" });
      const stream = await ask(edge, { stream: true });
      expect(by(stream)).toBe("edge");
      expect(await stream.text()).toMatch(
        /^data: .*"model":"edge".*"system_fingerprint":"picospec-edge-alone"/,
      );
    } else if (first instanceof Response) {
      expect([first.status, first.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(await first.json()).toMatchObject({ error: { code: "unreachable", type: "server_error" } });
    }
    const cloud = await kept(startCloud(["--port", `${port}`]));
    if (!(first instanceof Response)) expect(by(await first)).toBe("target");
    await expect.poll(() => health(edge), { timeout: 30_000 }).toMatchObject({ cloud: "up" });
    const then = await ask(edge);
    expect([then.status, by(then)]).toEqual([200, "target"]);
    const { model, system_fingerprint } = await answer(then);
    expect([model, system_fingerprint]).toEqual(["pico-target-q8_0.gguf", undefined]);
    await cloud.stop();
    await expect.poll(() => health(edge), { timeout: 30_000 }).toMatchObject({ cloud: "down" });
    await edge.stop();
  });

  it("without a model of its own it waits for the cloud's tokenizer before it listens", async () => {
    const port = await freePort();
    const starting = kept(startEdge(["--cloud", `ws://127.0.0.1:${port}`, "--drafter", "lookup"]));
    const cloud = await kept(startCloud(["--port", `${port}`]));
    const edge = await starting;
    expect(by(await ask(edge))).toBe("target");
    await edge.stop();
    await cloud.stop();
  });

  it("run and chat say whose text it is", async () => {
    const away = [
      "--cloud",
      "ws://127.0.0.1:1",
      "--model",
      DRAFTER,
      "--offline",
      "edge",
      "--temperature",
      "0",
    ];
    const alone = await picospec([
      "run",
      "Tell me.",
      "--model",
      DRAFTER,
      "--policy",
      "edge",
      "--temperature",
      "0",
    ]);
    const { status, stdout, stderr } = await picospec(["run", "Tell me.", ...away]);
    expect([status, stdout]).toEqual([0, alone.stdout]);
    expect(stderr).toMatch(/^\[the cloud is away: the small model alone answers\]\n\[edge: /);
    const chat = await picospec(["chat", ...away], { stdin: "Tell me.\n" });
    expect([chat.status, chat.stdout]).toEqual([0, alone.stdout]);
    expect(chat.stderr).toMatch(/the cloud is away: the small model alone answers/);
  });
});

describe("replicas", () => {
  it.each([
    "race",
    "picospec",
    "cloud",
  ])("one of two is killed in mid-answer of %s: the text is unchanged", async (policy) => {
    const slow = ["--hardware", "standard"];
    const [a, b] = [await kept(startCloud(slow)), await kept(startCloud(slow))];
    const edge = await kept(
      startEdge(["--cloud", a.url, "--cloud", b.url, "--model", DRAFTER, "--policy", policy]),
    );
    const one = { seed: 5, temperature: policy === "picospec" ? 0 : 1, max_tokens: 40 };
    const before = await textOf(await ask(edge, one));
    const stream = await ask(edge, { ...one, stream: true });
    let [text, killed] = ["", false];
    for await (const chunk of stream.body!) {
      text += Buffer.from(chunk).toString("utf8");
      if (!killed && /"content":"[^"]/.test(text)) killed = a.stop("SIGKILL") !== null;
    }
    const parts = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data!));
    const said = parts.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect([killed, said, text.trimEnd().endsWith("data: [DONE]")]).toEqual([true, before, true]);
    expect(await textOf(await ask(edge, one))).toBe(before);
    await edge.stop();
    await b.stop();
  });

  it.each([
    25, 0,
  ])("one of two is stopped in mid-answer, with %i s to drain: the text is unchanged", async (drainSeconds) => {
    const slow = ["--hardware", "standard", "--drain-seconds", `${drainSeconds}`];
    const [a, b] = [await kept(startCloud(slow)), await kept(startCloud(slow))];
    const edge = await kept(startEdge(["--cloud", a.url, "--cloud", b.url, "--model", DRAFTER]));
    const one = { seed: 5, temperature: 1, max_tokens: 40 };
    const before = await textOf(await ask(edge, one));
    const stream = await ask(edge, { ...one, stream: true });
    let [text, stopped] = ["", false];
    for await (const chunk of stream.body!) {
      text += Buffer.from(chunk).toString("utf8");
      if (!stopped && /"content":"[^"]/.test(text)) stopped = a.stop("SIGTERM") !== null;
    }
    const parts = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data!));
    const said = parts.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect([stopped, said, text.trimEnd().endsWith("data: [DONE]")]).toEqual([true, before, true]);
    expect((await a.ended).status).toBe(0);
    expect(await textOf(await ask(edge, one))).toBe(before);
    await edge.stop();
    await b.stop();
  });

  it("control: without the other one the answer is lost", async () => {
    const a = await kept(startCloud(["--hardware", "standard"]));
    const edge = await kept(startEdge(["--cloud", a.url, "--model", DRAFTER, "--reconnect", "1"]));
    const stream = await ask(edge, { max_tokens: 200, temperature: 1, stream: true });
    let [text, killed] = ["", false];
    for await (const chunk of stream.body!) {
      text += Buffer.from(chunk).toString("utf8");
      if (!killed && /"content":"[^"]/.test(text)) killed = a.stop("SIGKILL") !== null;
    }
    expect(text).toMatch(/"error":/);
    expect(text).not.toMatch(/\[DONE\]/);
    await edge.stop();
  });
});

describe("clouds with several models", () => {
  const folder = mkdtempSync(join(tmpdir(), "picospec-"));
  const other = join(folder, "other.gguf");
  let clouds: RunningCloud[];
  beforeAll(async () => {
    writeRandomGguf(other, { kind: "spm", vocabularySize: 600, layers: 1, seed: 1 });
    clouds = await Promise.all(
      [startCloud(), startCloud(["--model", DRAFTER]), startCloud(["--model", other])].map(kept),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("are listed, and requests name them; a drafter that does not fit gives way to prompt lookup", async () => {
    const addresses = clouds.flatMap(({ url }) => ["--cloud", url]);
    const edge = await kept(startEdge([...addresses, "--model", DRAFTER]));
    const list = (await (await fetch(`${edge.url}/models`)).json()) as { data: { id: string }[] };
    const names = list.data.map(({ id }) => id);
    expect(names).toHaveLength(3);
    expect(names.slice(0, 2)).toEqual(["pico-target-q8_0.gguf", "pico-drafter-q8_0.gguf"]);
    const texts = new Set<string>();
    for (const name of names) {
      const response = await ask(edge, { model: name });
      expect([response.status, by(response)]).toEqual([200, "target"]);
      const { model, choices } = await answer(response);
      expect(model).toBe(name);
      texts.add(choices[0]!.message.content);
    }
    expect(texts.size).toBe(3);
    expect(await textOf(await ask(edge))).toBe(await textOf(await ask(edge, { model: names[0] })));
    const unknown = await ask(edge, { model: "gpt-4" });
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      { error: expect.objectContaining({ code: "model_not_found", param: "model" }) },
    ]);
    const { stderr } = await edge.stop();
    expect(stderr.match(/the drafter has another tokenizer/g)).toHaveLength(1);
  });

  it("can each have a name and a drafter of their own, in a file of options", async () => {
    const config = join(folder, "config.json");
    const models = [
      { name: "story", cloud: clouds[0]!.url, model: DRAFTER },
      { name: "small", cloud: [clouds[2]!.url], drafter: "lookup" },
    ];
    writeFileSync(config, JSON.stringify({ edge: { models, concurrent: 4 } }));
    const edge = await kept(startEdge(["--config", config]));
    const list = (await (await fetch(`${edge.url}/models`)).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toEqual(["story", "small"]);
    const texts = await Promise.all(
      ["story", "small"].map(async (model) => textOf(await ask(edge, { model }))),
    );
    expect(new Set(texts).size).toBe(2);
    expect(texts[0]).toBe(await textOf(await ask(edge)));
    expect((await ask(edge, { model: "nemo" })).status).toBe(404);
    await edge.stop();
  });

  it("control: an edge of one model answers whatever name is asked", async () => {
    const edge = await kept(startEdge(["--cloud", clouds[0]!.url, "--model", DRAFTER]));
    expect((await ask(edge, { model: "gpt-4" })).status).toBe(200);
    await edge.stop();
  });

  it("whose tokenizer alone does not fit end the edge at once, as before", async () => {
    await expect(startEdge(["--cloud", clouds[2]!.url, "--model", DRAFTER])).rejects.toThrow(
      /the drafter cannot draft for .*: their vocabularies/,
    );
  });
});

describe("the last resort of a process", () => {
  const PLANTED = `data:text/javascript,process.on("SIGUSR2",()=>{setImmediate(function planted(){throw new TypeError(["a","secret"].join("-"))});Promise.reject(new RangeError(["a","secret"].join("-")))})`;
  /** Two faults each time; a process that has ended hears no more. */
  const plant = async (edge: RunningCloud, times: number) => {
    for (let i = 0; i < times; i++) {
      try {
        process.kill(edge.pid, "SIGUSR2");
        await health(edge);
      } catch {
        return;
      }
    }
  };

  it.each([
    ["an edge", () => startEdge(["--model", DRAFTER, "--policy", "edge"], ["--import", PLANTED])],
    ["a cloud", () => startCloud([], process.env, ["--import", PLANTED])],
  ])("of %s tells what no handler caught, without its message, and goes on", async (_, start) => {
    const one = await kept(start());
    for (let i = 0; i < 3; i++) {
      process.kill(one.pid, "SIGUSR2");
      // It answers after the signal, and after what that planted.
      const { status } = await fetch(one.url.replace(/^ws/, "http").replace("/v1", "/health"));
      expect(status).toBe(one.url.startsWith("ws") ? 426 : 200);
    }
    const { status, stderr } = await one.stop();
    expect(status).toBe(0);
    for (const error of ["TypeError", "RangeError"]) {
      expect(stderr).toMatch(new RegExp(`"error":"${error}".*a fault of PicoSpec's own, please report it`));
    }
    expect(stderr).toMatch(/"at":"[^"]*planted/);
    expect(stderr).not.toContain("a-secret");
  });

  it("ends a process that fails again and again", async () => {
    const edge = await kept(startEdge(["--model", DRAFTER, "--policy", "edge"], ["--import", PLANTED]));
    await plant(edge, 40);
    const { status, stderr } = await edge.ended;
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/50 faults in 60 s: this process gives up"\}\n$/),
    ]);
  });
});

afterAll(async () => {
  await Promise.all(running.map((one) => one.stop("SIGKILL")));
});
