import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage } from "../../src/text/conversation.ts";
import { BIN, DRAFTER, finished, picospec, type RunningCloud, startCloud } from "../support/processes.ts";
import { openTerminal } from "../support/terminal.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
const FIRST = "Tell me a story about a frog and a lantern.";
const SECOND = "And what did the friend say then?";
let [cloud, slow]: (RunningCloud | null)[] = [null, null];
let files = 0;

beforeAll(async () => {
  cloud = await startCloud();
  slow = await startCloud(["--hardware", "standard"]);
});
afterAll(async () => {
  await cloud?.stop();
  await slow?.stop();
  rmSync(folder, { recursive: true });
});

const freshFile = () => join(folder, `${files++}.json`);
const messagesIn = (path: string) => JSON.parse(readFileSync(path, "utf8")) as ChatMessage[];
const options = (url = cloud!.url) => ["--cloud", url, "--model", DRAFTER, "--max-tokens", "24"];

/** A whole chat through a pipe, and the messages that it ends with. */
async function chat(lines: readonly string[], ...more: string[]) {
  const file = freshFile();
  const stdin = [...lines, `/save ${file}`].join("\n");
  const result = await picospec(["chat", ...options(), ...more], { stdin });
  return { ...result, messages: messagesIn(file) };
}

describe("a chat through a pipe", () => {
  it("writes the answers to stdout, one after the other, without prompts or colours", async () => {
    const { status, stdout, stderr, messages } = await chat([FIRST, "", SECOND], "--temperature", "0");
    expect(status, stderr).toBe(0);
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
    expect([messages[0]!.content, messages[2]!.content]).toEqual([FIRST, SECOND]);
    expect(stdout).toBe(`${messages[1]!.content}\n${messages[3]!.content}\n`);
    expect(stdout + stderr).not.toContain("\u001b");
    expect(stdout).not.toMatch(/^> /m);
  });

  it("sends the conversation with the second question: another answer than a fresh chat has", async () => {
    const same = ["--temperature", "1", "--seed", "7"];
    const [second] = (await chat([FIRST, SECOND], ...same)).messages.slice(3);
    const [again] = (await chat([FIRST, SECOND], ...same)).messages.slice(3);
    const [fresh] = (await chat([SECOND], ...same)).messages.slice(1);
    const [cleared] = (await chat([FIRST, "/clear", SECOND], ...same)).messages.slice(1);
    expect(again).toEqual(second);
    expect(fresh).not.toEqual(second);
    expect(cleared).toEqual(fresh);
  });

  it("sends exactly the conversation: without a template it is the prompt of its messages", async () => {
    const raw = ["--raw", "--temperature", "0"];
    const { messages } = await chat([FIRST, SECOND], "--system", "A frog speaks.", ...raw);
    const prompt = messages.slice(0, -1).map(({ content }) => content);
    const { stdout } = await picospec(["run", prompt.join("\n"), ...options(), ...raw]);
    expect(messages).toHaveLength(5);
    expect(stdout).toBe(`${messages[4]!.content}\n`);
  });

  it("takes questions of several lines, and what the end of the input leaves open", async () => {
    const { messages } = await chat(["one\\", "two", '"""', "/quit", "", "three", '"""']);
    expect(messages.filter(({ role }) => role === "user").map(({ content }) => content)).toEqual([
      "one\ntwo",
      "/quit\n\nthree",
    ]);
    const open = await picospec(["chat", ...options()], { stdin: '"""\nTell me\na story.' });
    expect([open.status, open.stdout.length > 1]).toEqual([0, true]);
  });

  it("leaves the oldest turns out when the context is full, and says so in one line", async () => {
    const small = await startCloud(["--context", "110"]);
    const questions = Array.from({ length: 5 }, () => FIRST);
    const { status, stderr } = await picospec(["chat", ...options(small.url), "--system", "s"], {
      stdin: questions.join("\n"),
    });
    await small.stop();
    expect(status, stderr).toBe(0);
    const lines = stderr.split("\n").filter((line) => line.includes("longer than the context"));
    expect(lines[0]).toMatch(/: the oldest turn is dropped$/);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.length).toBeLessThan(5);
  });

  it("ends with 130 and the answer so far when it is interrupted", async () => {
    const child = spawn(process.execPath, [BIN, "chat", ...options(slow!.url)]);
    child.stdin.write(`${FIRST}\n`);
    child.stdout.once("data", () => child.kill("SIGINT"));
    const { status, stdout, stderr } = await finished(child);
    expect([status, stdout.endsWith("\n")]).toEqual([130, true]);
    expect(stderr).toContain("[interrupted]");
  });
});

describe("commands of a chat", () => {
  it("go to stderr, and a wrong one is no end", async () => {
    const lines = [
      "/stats",
      FIRST,
      "/stats",
      "/fly",
      "/policy best",
      "/policy vanilla",
      "/policy",
      "/help",
      "/retry",
    ];
    const { status, stdout, stderr, messages } = await chat([...lines, "/stats"]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("nothing has been answered yet");
    expect(stderr).toMatch(
      /last answer +conversation, 1 answer\npolicy +race +race\ntokens +\d+ +\d+\ntokens\/s/,
    );
    expect(stderr).toMatch(/there is no \/fly; there are \/help, /);
    expect(stderr).toMatch(/unknown policy "best"; there are cloud, race/);
    expect(stderr).toMatch(/^policy vanilla; there are cloud, race/m);
    expect(stderr).toMatch(/^\/retry +answer the last question again/m);
    expect(stderr).toMatch(/conversation, 2 answers\npolicy +vanilla +race, vanilla\n/);
    expect(messages).toHaveLength(2);
    expect(stdout.endsWith(`${messages[1]!.content}\n`)).toBe(true);
  });

  it("change the system message, and /quit ends", async () => {
    const file = freshFile();
    const stdin = ["/system", "/system Be kind.", "hello", `/save ${file}`, "/system -", "/quit", FIRST].join(
      "\n",
    );
    const { status, stderr } = await picospec(["chat", ...options(), "--system", "Be brief."], { stdin });
    expect([status, messagesIn(file)[0]]).toEqual([0, { role: "system", content: "Be kind." }]);
    expect(stderr).toMatch(/system message: Be brief\.\nsystem message: Be kind\./);
    expect(stderr).toMatch(/there is no system message\n$/);
  });

  it("save over a file of this chat only", async () => {
    const [own, other] = [freshFile(), freshFile()];
    writeFileSync(other, "precious");
    const stdin = [`/save ${own}`, `/save ${own}`, `/save ${other}`, `/save ${folder}/no/where`].join("\n");
    const { status, stderr } = await picospec(["chat", ...options()], { stdin });
    expect([status, readFileSync(other, "utf8"), messagesIn(own)]).toEqual([0, "precious", []]);
    expect(stderr).toMatch(/is there already: choose another name\n.*ENOENT/);
  });

  it("change to the small model alone and back, without a new start", async () => {
    const { status, stderr, messages } = await chat(["/policy edge", FIRST, "/policy race", SECOND]);
    expect([status, messages.length], stderr).toEqual([0, 4]);
    const alone = await picospec(["chat", "--model", DRAFTER, "--policy", "edge", "--max-tokens", "8"], {
      stdin: `/policy race\n${FIRST}`,
    });
    expect([alone.status, alone.stdout.length > 1]).toEqual([0, true]);
    expect(alone.stderr).toMatch(/policy race needs a cloud: give --cloud/);
  });

  it("work without a model on this device", async () => {
    const args = ["chat", "--cloud", cloud!.url, "--drafter", "lookup", "--max-tokens", "8"];
    const { status, stdout, stderr } = await picospec(args, { stdin: `${FIRST}\n/policy edge\n${SECOND}` });
    expect([status, stdout.split("\n").length > 2], stderr).toEqual([0, true]);
    expect(stderr).toMatch(/policy edge needs a model of its own/);
  });
});

describe("a cloud that goes away in mid-answer", () => {
  it("costs the answer and not the conversation, which goes on when the cloud is back", async () => {
    const file = freshFile();
    const first = await startCloud(["--hardware", "standard"]);
    const child = spawn(process.execPath, [BIN, "chat", ...options(first.url), "--reconnect", "0"]);
    const result = finished(child);
    child.stdin.write(`${FIRST}\n`);
    child.stdout.once("data", () => void first.stop("SIGKILL"));
    await said(child, /^picospec: .+$/m);
    const again = await startCloud(["--port", String(first.port)]);
    child.stdin.end(`${SECOND}\n/save ${file}\n`);
    const { status, stdout, stderr } = await result;
    await again.stop();
    expect(status, stderr).toBe(1);
    const messages = messagesIn(file);
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
    expect(stdout).toBe(`${messages[1]!.content}\n${messages[3]!.content}\n`);
  });

  it("is found again by the next question where it went between two", async () => {
    const first = await startCloud();
    const child = spawn(process.execPath, [BIN, "chat", ...options(first.url), "--reconnect", "0"]);
    const result = finished(child);
    child.stdin.write(`${FIRST}\n/stats\n`);
    await said(child, /last answer/);
    await first.stop("SIGKILL");
    const again = await startCloud(["--port", String(first.port)]);
    child.stdin.end(`${SECOND}\n`);
    const { status, stderr } = await result;
    await again.stop();
    expect(status, stderr).toBe(0);
  });
});

/** Waits for the child to say something on stderr. */
function said(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = "";
  return new Promise((resolve) => {
    child.stderr!.on("data", (chunk) => {
      text += chunk;
      if (pattern.test(text)) resolve();
    });
  });
}

describe("a chat at a terminal", () => {
  it("is interrupted by Ctrl-C with what was said kept, has a history, and ends at the second Ctrl-C", async () => {
    const file = freshFile();
    const terminal = openTerminal(["chat", ...options(slow!.url)]);
    await terminal.waitFor(/> /);
    terminal.type(`${FIRST}\r`);
    await terminal.waitFor(/lantern\.\s+\w/);
    terminal.type("\u0003");
    await terminal.waitFor(/\[interrupted\]/);
    terminal.type(`/save ${file}\r`);
    await terminal.waitFor(/2 messages saved/);
    const [question, answer] = messagesIn(file);
    expect([question!.content, answer!.content.length > 0]).toEqual([FIRST, true]);
    terminal.type("/clear\r");
    await terminal.waitFor(/forgotten/);
    terminal.type("\u001b[A\u001b[A\r");
    await terminal.waitFor(/0 messages saved/);
    terminal.type("half a line\u0003");
    await terminal.waitFor(/> /);
    terminal.type("\u0003");
    await terminal.waitFor(/Ctrl-C again ends/);
    terminal.type("\u0003");
    expect(await terminal.status).toBe(130);
    expect(terminal.shown()).toContain("\u001b[36m");
    expect(messagesIn(file)).toEqual([]);
  });

  it("keeps what is typed during an answer, ends with Ctrl-D, and has no colours under NO_COLOR", async () => {
    const terminal = openTerminal(["chat", ...options()], { NO_COLOR: "1" });
    await terminal.waitFor(/> /);
    terminal.type(`${FIRST}\r/stats\r`);
    await terminal.waitFor(/last answer/);
    terminal.type("one\\\r");
    await terminal.waitFor(/… /);
    terminal.type("two\r");
    await terminal.waitFor(/> /);
    terminal.type("\u0004");
    expect(await terminal.status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    expect(terminal.shown()).not.toMatch(/\u001b\[\d+m/);
  });
});

it("chat --help has examples", async () => {
  const { status, stdout } = await picospec(["chat", "--help"]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/Examples:\n {2}\$ picospec chat/);
});
