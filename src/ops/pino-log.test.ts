import { describe, expect, it } from "vitest";
import { faultFields } from "../util/log.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { LOG_LIMITS, type LogFormat, type LogLevel, pinoLog } from "./pino-log.ts";

function logOf(format: LogFormat, level: LogLevel = "debug") {
  const lines: string[] = [];
  const clock = new VirtualClock();
  const log = pinoLog({ format, level, clock, write: (line) => lines.push(line) });
  return { log, lines, clock };
}

describe("a log", () => {
  it("has JSON lines with level, time, message and fields", () => {
    const { log, lines } = logOf("json");
    log.warn({ connection: 3, code: "bad_frame" }, "error sent");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 40,
      msg: "error sent",
      connection: 3,
      code: "bad_frame",
    });
  });

  it("has a line of text for a person", () => {
    const { log, lines } = logOf("text");
    log.info({ session: 3, reason: "an end", trace: undefined }, "session ended");
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}session ended session=3 reason="an end"\n$/);
  });

  it.each(["text", "json"] as const)("lets no peer draw on a terminal, as %s", (format) => {
    const { log, lines } = logOf(format);
    log.info({ code: "\u001b[2J\u009b2J\u202e\nforged line" }, "error sent");
    expect(lines).toHaveLength(1);
    const text = format === "text" ? lines[0]! : JSON.stringify(JSON.parse(lines[0]!));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (format === "text") expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(lines[0]!.trimEnd()).not.toContain("\n");
  });

  it("has the levels from its own on", () => {
    const { log, lines } = logOf("json", "warn");
    log.debug({}, "a");
    log.info({}, "b");
    log.warn({}, "c");
    log.error({}, "d");
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["c", "d"]);
  });

  it("masks what goes by the name of a secret", () => {
    const { log, lines } = logOf("json");
    log.info({ authorization: "Bearer k-1", apiKey: "k-1", secret: "k-1", token: "k-1" }, "x");
    expect(lines.join()).not.toContain("k-1");
  });

  it("bounds what a peer can make it say: the length of a value, and lines a second", () => {
    const { log, lines, clock } = logOf("json");
    log.info({ code: "x".repeat(10_000) }, "long");
    expect(lines[0]!.length).toBeLessThan(2 * LOG_LIMITS.valueUnits + 200);
    for (let i = 0; i < 5000; i++) log.warn({ i }, "flood");
    expect(lines).toHaveLength(LOG_LIMITS.linesPerSecond);
    clock.schedule(1500, () => log.info({}, "later"));
    clock.run();
    expect(JSON.parse(lines.at(-2)!)).toMatchObject({ dropped: 5001 - LOG_LIMITS.linesPerSecond });
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ msg: "later" });
  });

  it("says where a fault was thrown, and not what it quotes", () => {
    const fault = () => JSON.parse("Tell me of MARKED") as unknown;
    let thrown: unknown;
    try {
      fault();
    } catch (error) {
      thrown = error;
    }
    // What a message would have told.
    expect((thrown as Error).stack).toContain("MARKED");
    const { log, lines } = logOf("json");
    log.error(faultFields(thrown), "a fault");
    expect(lines[0]).not.toContain("MARKED");
    expect(JSON.parse(lines[0]!)).toMatchObject({
      error: "SyntaxError",
      at: expect.stringContaining("fault"),
    });
    expect(faultFields("MARKED")).toEqual({ error: "string" });
  });
});
