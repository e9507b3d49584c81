import { describe, expect, it } from "vitest";
import {
  CHAT_COMMANDS,
  type ChatInput,
  chatHelp,
  interruptEffect,
  type OpenInput,
  readEnd,
  readLine,
} from "./chat-input.ts";

/** Everything that complete lines give, and what the end of the input makes of the rest. */
function read(...lines: string[]): ChatInput[] {
  let open: OpenInput | null = null;
  const inputs: ChatInput[] = [];
  for (const line of lines) {
    const result = readLine(open, line);
    open = result.open;
    if (result.input) inputs.push(result.input);
  }
  const rest = readEnd(open);
  return rest ? [...inputs, rest] : inputs;
}

const text = (value: string): ChatInput => ({ kind: "text", text: value });

describe("lines of a chat", () => {
  it("are a question each, without the space around it", () => {
    expect(read("  Why?", "", "   ", "How?  ")).toEqual([text("Why?"), text("How?")]);
  });

  it("go on after a backslash", () => {
    expect(read("one\\", "two\\", "three", "four")).toEqual([text("one\ntwo\nthree"), text("four")]);
  });

  it("are one text between lines of three double quotes, commands and empty lines included", () => {
    expect(read('"""', "one", "", "/quit", "two\\", ' """ ', "three")).toEqual([
      text("one\n\n/quit\ntwo\\"),
      text("three"),
    ]);
  });

  it("are text where the quotes are not alone, and inside a continued line", () => {
    expect(read('"""x', "a\\", '"""')).toEqual([text('"""x'), text('a\n"""')]);
  });

  it("tell whether something is open", () => {
    expect(readLine(null, "x").open).toBeNull();
    expect(readLine(null, "x\\").open).toEqual({ until: "line", lines: ["x"] });
    expect(readLine(null, '"""').open).toEqual({ until: "quotes", lines: [] });
  });

  it("that the end of the input leaves open are complete", () => {
    expect(read("one\\")).toEqual([text("one")]);
    expect(read('"""', "one", "two")).toEqual([text("one\ntwo")]);
    expect(read('"""', "  ")).toEqual([]);
    expect(read("/stats\\")).toEqual([{ kind: "command", command: { name: "stats" } }]);
  });
});

describe("commands of a chat", () => {
  const command = (line: string) => {
    const [input] = read(line);
    return input?.kind === "command" ? input.command : input;
  };

  it.each(["help", "stats", "clear", "retry", "quit"])("/%s takes no argument", (name) => {
    expect(command(`/${name}  `)).toEqual({ name });
    expect(command(`/${name} now`)).toMatchObject({ kind: "wrong", message: expect.stringContaining("now") });
  });

  it.each(["policy", "system"])("/%s takes an argument or shows", (name) => {
    expect(command(`/${name}`)).toEqual({ name, argument: null });
    expect(command(`/${name}  some  words `)).toEqual({ name, argument: "some  words" });
  });

  it("/system takes several lines", () => {
    expect(read("/system one\\", "two")).toEqual([
      { kind: "command", command: { name: "system", argument: "one\ntwo" } },
    ]);
  });

  it("/save wants a file", () => {
    expect(command("/save a b.json")).toEqual({ name: "save", argument: "a b.json" });
    expect(command("/save")).toEqual({ kind: "wrong", message: "say where to: /save FILE" });
  });

  it("that are not there are refused, with the list and a way to say it to the model", () => {
    expect(command("/fly")).toMatchObject({
      kind: "wrong",
      message: expect.stringMatching(/no \/fly; .*\/help.*\/quit\. .*space/),
    });
    expect(command("/")).toMatchObject({ kind: "wrong" });
    expect(read(" /etc/hosts?")).toEqual([text("/etc/hosts?")]);
  });

  it("are all in the list, and the list has no others", () => {
    for (const [usage] of CHAT_COMMANDS) {
      const [name, argument] = usage.split(" ");
      expect(command(argument ? `${name} x` : name!)).toHaveProperty("name", name!.slice(1));
      expect(chatHelp()).toContain(`\n${usage} `.slice(usage === "/help" ? 1 : 0));
    }
  });
});

describe("Ctrl-C at the prompt", () => {
  it("throws away what is typed, then warns, then ends", () => {
    expect(interruptEffect(true, false)).toBe("discard");
    expect(interruptEffect(true, true)).toBe("discard");
    expect(interruptEffect(false, false)).toBe("warn");
    expect(interruptEffect(false, true)).toBe("end");
  });
});
