import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { checkFile, checkTokenizer, inspected } from "../../src/device/isolation/check.ts";
import { IsolatedChild } from "../../src/device/isolation/child.ts";
import { ISOLATION_LIMITS } from "../../src/device/isolation/limits.ts";
import { IsolatedTemplates } from "../../src/device/isolation/templates.ts";
import { vocabularyFile } from "../../src/engine/llama/vocabulary.ts";
import { renderTemplate } from "../../src/text/chat-template.ts";
import { readGguf, text, writeGguf } from "../files/gguf.ts";
import { DRAFTER } from "../support/processes.ts";

/** Processes of their own for what came from outside, as they are built. `damaged-files.test.ts` has many files. */

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
afterAll(() => rmSync(folder, { recursive: true }));
const place = (name: string) => join(folder, name);

const VARIABLES = {
  messages: [{ role: "user", content: "hi" }],
  add_generation_prompt: true,
  bos_token: "<s>",
  eos_token: "</s>",
} as const;

const LOOPS = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
const DOUBLES = "{% set ns.x = ns.x + ns.x %}";
const GROWS = `{% set ns = namespace(x=[1]) %}{% for i in range(40) %}${DOUBLES}{% endfor %}`;

describe("chat templates", () => {
  // So long that a busy machine does not matter where something else ends a rendering.
  const limits = { ...ISOLATION_LIMITS, templateMs: 60_000, promptCharacters: 1000 };
  const templates = new IsolatedTemplates(limits);
  afterAll(() => templates.close());
  const after = () => templates.render("{{ messages[0].content }}", VARIABLES);

  it.each([
    ["counts to a billion", "{% for i in range(10**9) %}{% endfor %}", /range\(\) has 1000000000 numbers/],
    ["grows", GROWS, /heap out of memory/],
    ["makes too much text", "{% for i in range(2000) %}x{% endfor %}", /made 2000 characters/],
    ["nests deeply", `{{${"(".repeat(50_000)}1${")".repeat(50_000)}}}`, /call stack/],
    ["is larger than any", " ".repeat(limits.templateCharacters + 1), /has \d+ characters/],
    ["is no template", "{% if %}", /Unexpected token/],
    ["refuses", "{{ raise_exception('only users') }}", /only users/],
  ])("one that %s is an error, and the next one is rendered", async (_, source, message) => {
    const failure = await templates.render(source, VARIABLES).catch((error) => error);
    expect(failure).toMatchObject({ name: "TemplateError", code: "template" });
    expect(failure.message).toMatch(message);
    expect(await after()).toBe("hi");
  });

  it("one that loops is given up, and the next one is rendered", async () => {
    const hasty = new IsolatedTemplates({ ...limits, templateMs: 1500 });
    const failure = await hasty.render(LOOPS, VARIABLES).catch((error) => error);
    expect(failure).toMatchObject({ name: "TemplateError", code: "template" });
    expect(failure.message).toMatch(/still rendering after 1.5 s/);
    expect(await hasty.render("{{ bos_token }}", VARIABLES)).toBe("<s>");
    hasty.close();
  });

  it("are rendered as on this thread, with characters of all kinds", async () => {
    const source = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | tojson }}{% endfor %}";
    const content = 'é "漢" 😀 \ud800 \u0000 \u2028';
    const variables = { ...VARIABLES, messages: [{ role: "user", content }] } as const;
    expect(await templates.render(source, variables)).toBe(renderTemplate(source, variables));
  });

  it("wait for their turn, as many as may, and end with the edge", async () => {
    const few = new IsolatedTemplates({ ...limits, templatesWaiting: 3 });
    const outcomes = Promise.allSettled(Array.from({ length: 5 }, () => few.render("x", VARIABLES)));
    expect((await outcomes).map(({ status }) => status)).toEqual([
      ...Array(3).fill("fulfilled"),
      ...Array(2).fill("rejected"),
    ]);
    const late = few.render(LOOPS, VARIABLES).catch((error) => error.message);
    few.close();
    expect(await late).toMatch(/chat template failed/);
    await expect(few.render("x", VARIABLES)).rejects.toThrow(/was closed/);
  });
});

describe("a child", () => {
  // What it allocates is JavaScript's, with a heap that would have room for it.
  const large =
    "{% set ns = namespace(x=[1]) %}{% for i in range(24) %}{% set ns.x = ns.x + ns.x %}{% endfor %}ok";
  const request = { kind: "template", source: large, variables: VARIABLES, mostCharacters: 9 } as const;
  const heapMegabytes = 8192;

  it.each(["limit", "watch"] as const)("may take so much memory and no more: %s", async (bound) => {
    const ask = async (memoryBytes: number) => {
      const child = new IsolatedChild({ program: "templates", memoryBytes, heapMegabytes, bound });
      try {
        expect(await child.ask({ ...request, source: "x" }, 60_000)).toMatchObject({ value: "x" });
        return await child.ask(request, 60_000);
      } finally {
        child.close();
      }
    };
    expect(await ask(256 * 2 ** 20)).toMatchObject({ ok: false, failure: { code: "crashed" } });
    // The control: with more it does its work.
    expect(await ask(4096 * 2 ** 20)).toMatchObject({ ok: true, value: "ok" });
  });

  it("that was closed fails what it was asked, and what it is asked then", async () => {
    const child = new IsolatedChild({ program: "templates", memoryBytes: 2 ** 30, heapMegabytes: 100 });
    const asked = child.ask({ ...request, source: LOOPS }, 60_000);
    child.close();
    expect([await asked, await child.ask(request, 60_000)].map(({ ok }) => ok)).toEqual([false, false]);
    expect(child.gone).toBe(true);
  });
});

describe("a file", () => {
  beforeAll(() => {
    vi.stubEnv("PICOSPEC_CACHE", place("cache"));
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });
  let path: string;
  let count = 0;
  beforeEach(() => {
    path = place(`model-${count++}.gguf`);
    writeFileSync(path, readFileSync(DRAFTER));
  });

  /** Ends the process that lays it out, and its metadata is in order. */
  const badly = (bytes: Uint8Array) => {
    const file = readGguf(new Uint8Array(bytes));
    const entry = {
      key: "llama.rope.scaling.type",
      type: 8,
      elementType: 0,
      length: null,
      values: [text("x")],
    };
    return writeGguf({ ...file, entries: [...file.entries, entry] });
  };

  it("that is fine is looked at once, until it changes", async () => {
    await checkFile(path, "whole");
    const kept = readFileSync(place("cache/checked.json"), "utf8");
    await checkFile(path, "whole");
    expect(readFileSync(place("cache/checked.json"), "utf8")).toBe(kept);
    const { mtime, atime } = { mtime: new Date(1e12), atime: new Date(1e12) };
    writeFileSync(path, badly(readFileSync(path)));
    utimesSync(path, atime, mtime);
    await expect(checkFile(path, "whole")).rejects.toMatchObject({
      name: "EngineError",
      code: "bad_model",
      message: expect.stringMatching(
        /ended its process while laying out its tensors \(SIGABRT: .*GGML_ASSERT/,
      ),
    });
    // Failures are not kept.
    expect(readFileSync(place("cache/checked.json"), "utf8")).toBe(kept);
  });

  it("is known again by another process of this user, and not by another extent", async () => {
    await checkFile(path, "vocabulary");
    const { fine } = JSON.parse(readFileSync(place("cache/checked.json"), "utf8"));
    await checkFile(path, "whole");
    const more = JSON.parse(readFileSync(place("cache/checked.json"), "utf8")).fine;
    expect(more.length).toBe(fine.length + 1);
    expect(more).toEqual(expect.arrayContaining(fine));
  });

  it("that keeps its reader busy is given up", async () => {
    const limits = { ...ISOLATION_LIMITS, fileMs: 1 };
    expect(await inspected(path, "whole", undefined, limits)).toMatchObject({
      ok: false,
      failure: { code: "bad_model", message: expect.stringMatching(/after 0.001 s/) },
    });
  });

  it("that is no model needs no process to say so", async () => {
    writeFileSync(path, "no model");
    await expect(checkFile(path, "whole")).rejects.toMatchObject({ code: "not_gguf" });
    await expect(checkFile(place("none.gguf"), "whole")).rejects.toMatchObject({ code: "no_model" });
  });

  it("too large to be computed with is laid out all the same", async () => {
    const limits = { ...ISOLATION_LIMITS, computedBytes: 1000 };
    expect(await inspected(path, "whole", undefined, limits)).toMatchObject({ ok: true });
    writeFileSync(path, badly(readFileSync(path)));
    expect(await inspected(path, "whole", undefined, limits)).toMatchObject({ ok: false });
  });

  it("that a cloud sent is looked at once for its bytes", async () => {
    const bytes = await vocabularyFile(DRAFTER);
    writeFileSync(path, bytes);
    await checkTokenizer(bytes, path);
    // Where its bytes are known nothing is opened.
    await checkTokenizer(bytes, place("none.gguf"));
    const other = bytes.slice(0, bytes.length - 1);
    await expect(checkTokenizer(other, place("none.gguf"))).rejects.toMatchObject({ code: "no_model" });
  });
});
