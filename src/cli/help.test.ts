import { afterEach, describe, expect, it, vi } from "vitest";
import { commands, main } from "./main.ts";
import { COLUMNS } from "./text.ts";

afterEach(() => vi.restoreAllMocks());

async function helpOf(args: readonly string[]): Promise<{ status: number; text: string }> {
  let text = "";
  // main watches for a closed pipe, each time.
  vi.spyOn(process.stdout, "on").mockReturnValue(process.stdout);
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  return { status: await main([...args, "--help"]), text };
}

describe("help", () => {
  it.each([
    "",
    ...commands().map((command) => command.name()),
  ])("of picospec %s fits 80 columns", async (name) => {
    const { status, text } = await helpOf(name === "" ? [] : [name]);
    expect([status, text]).toEqual([0, expect.stringMatching(/Examples:/)]);
    expect(text.split("\n").filter((line) => line.length > COLUMNS)).toEqual([]);
  });
});
