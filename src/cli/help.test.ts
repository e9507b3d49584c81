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

describe("an error about an option", () => {
  it.each([
    [["--kv-slots", "8"], /^picospec: --kv-slots does nothing with vllm/],
    [["--gpu-layers", "8"], /^picospec: --gpu-layers does nothing with vllm/],
  ])("%s names it as it is typed", async (args, said) => {
    vi.spyOn(process.stdout, "on").mockReturnValue(process.stdout);
    const errors = vi.spyOn(console, "error").mockReturnValue();
    const status = await main(["cloud", "--engine", "vllm", "--url", "http://127.0.0.1:9", ...args]);
    expect([status, errors.mock.calls.map(([text]) => text)]).toEqual([2, [expect.stringMatching(said)]]);
  });
});
