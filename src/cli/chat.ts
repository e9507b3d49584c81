import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { policyNamed } from "../decoding/policy.ts";
import type { DeviceEdge } from "../device/edge.ts";
import { freshSeed } from "../device/node.ts";
import { CloudError } from "../edge/connection.ts";
import type { WholeAnswer } from "../edge/edge.ts";
import { type Seed, seedText } from "../sampling/random.ts";
import { unlessAborted } from "../util/abort.ts";
import { unreachable } from "../util/assert.ts";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import { type AskValues, addAskOptions, checkPolicyChange, openEdge, standInNotice } from "./ask.ts";
import {
  type ChatCommand,
  type ChatInput,
  chatHelp,
  interruptEffect,
  type OpenInput,
  readEnd,
  readLine,
} from "./chat-input.ts";
import { type ChatAnswer, chatStatistics } from "./chat-statistics.ts";
import {
  answered,
  asked,
  askedAgain,
  type Conversation,
  emptyConversation,
  fitting,
  messagesOf,
  promptRoom,
} from "./conversation.ts";
import { Exit, INTERRUPTED } from "./exit.ts";
import { LineReader } from "./line-reader.ts";
import { type NamedPolicy, policyNames, samplerFrom } from "./options.ts";
import { colours } from "./output.ts";
import { printable } from "./text.ts";

export function chatCommand(): Command {
  return addAskOptions(
    new Command("chat").description("a conversation in the terminal: type /help in it for its commands"),
  )
    .addHelpText(
      "after",
      `
A line that ends with a backslash goes on in the next one; so does everything between two lines of """.
Ctrl-C interrupts an answer, and what was said stays. Through a pipe each line is a question: the answers go to
stdout and everything else to stderr, and the exit status is 1 if one was not answered.

Examples:
  $ picospec chat --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec chat --cloud ws://127.0.0.1:4747 --model drafter.gguf --system "Answer in one sentence." --temperature 0
  $ picospec chat --model drafter.gguf --policy edge      (the small model alone, offline)
  $ picospec chat --cloud ws://127.0.0.1:4747 --drafter lookup < questions.txt > answers.txt`,
    )
    .action(chat);
}

async function chat(values: AskValues): Promise<void> {
  const edge = await openEdge(values);
  const reader = new LineReader();
  try {
    await new Chat(values, edge, reader).run();
  } finally {
    reader.close();
    await edge.close();
  }
}

/** The shell around the conversation: what is asked, written and kept. */
class Chat {
  private readonly values: AskValues;
  private readonly edge: DeviceEdge;
  private readonly reader: LineReader;
  private conversation: Conversation;
  private policy: NamedPolicy;
  private answers: ChatAnswer[] = [];
  /** turns that did not fit the last time */
  private dropped = 0;
  /** files that this chat made, and may write again */
  private readonly saved = new Set<string>();
  /** the last thing was a Ctrl-C that interrupted an answer, or that warned */
  private interrupted = false;
  private unanswered = false;

  constructor(values: AskValues, edge: DeviceEdge, reader: LineReader) {
    this.values = values;
    this.edge = edge;
    this.reader = reader;
    this.conversation = emptyConversation(values.system ?? null);
    this.policy = values.policy;
  }

  async run(): Promise<void> {
    const { reader } = this;
    if (reader.interactive) note(`policy ${this.policy.name}; /help lists the commands, Ctrl-D ends`);
    const mark = colours(process.stdout).cyan;
    let open: OpenInput | null = null;
    for (;;) {
      const event = await reader.next(mark(open ? "… " : "> "));
      if (event.kind === "end") {
        const rest = reader.interactive ? null : readEnd(open);
        if (rest) await this.take(rest);
        break;
      }
      if (event.kind === "interrupt") {
        this.atPrompt(event.typed || open !== null);
        open = null;
        continue;
      }
      this.interrupted = false;
      const read = readLine(open, event.line);
      open = read.open;
      if (read.input && !(await this.take(read.input))) return this.end();
    }
    if (reader.interactive) process.stdout.write("\n");
    this.end();
  }

  /** @throws Exit for a pipe of which a question was not answered */
  private end(): void {
    if (this.unanswered && !this.reader.interactive) throw new Exit(1);
  }

  /** Ctrl-C while nothing is being answered. @throws Exit */
  private atPrompt(typed: boolean): void {
    if (this.reader.interactive) process.stdout.write("\n");
    const effect = this.reader.interactive ? interruptEffect(typed, this.interrupted) : "end";
    if (effect === "end") throw new Exit(INTERRUPTED);
    if (effect === "warn") note("Ctrl-C again ends the chat, and so do Ctrl-D and /quit");
    this.interrupted = effect === "warn";
  }

  /** @returns whether the chat goes on. What the world can do to it is told, and is no end. */
  private async take(input: ChatInput): Promise<boolean> {
    try {
      if (input.kind === "wrong") note(input.message);
      else if (input.kind === "text") await this.answer(asked(this.conversation, input.text), this.seed());
      else return await this.command(input.command);
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      note(`picospec: ${error.message}`);
    }
    return true;
  }

  private seed(): Seed {
    return this.values.seed ?? freshSeed();
  }

  private async command(command: ChatCommand): Promise<boolean> {
    switch (command.name) {
      case "help":
        note(chatHelp());
        return true;
      case "policy":
        this.setPolicy(command.argument);
        return true;
      case "stats":
        note(this.answers.length > 0 ? chatStatistics(this.answers) : "nothing has been answered yet");
        return true;
      case "system":
        this.setSystem(command.argument);
        return true;
      case "clear":
        this.conversation = emptyConversation(this.conversation.system);
        this.answers = [];
        this.dropped = 0;
        note("the conversation is forgotten");
        return true;
      case "retry": {
        const again = askedAgain(this.conversation);
        if (again) await this.answer(again, freshSeed());
        else note("nothing has been asked yet");
        return true;
      }
      case "save":
        await this.save(command.argument);
        return true;
      case "quit":
        return false;
      default:
        return unreachable(command);
    }
  }

  private setPolicy(name: string | null): void {
    if (name !== null) {
      const policy = { name, policy: policyNamed(name) };
      checkPolicyChange(policy, this.values, this.edge);
      this.policy = policy;
    }
    note(`policy ${this.policy.name}${name === null ? `; there are ${policyNames}` : ""}`);
  }

  private setSystem(text: string | null): void {
    if (text !== null) this.conversation = { ...this.conversation, system: text === "-" ? null : text };
    const { system } = this.conversation;
    note(system === null ? "there is no system message" : `system message: ${system}`);
  }

  /** Writes a file that is not there, or that this chat has written: a slip must not cost a model. */
  private async save(path: string): Promise<void> {
    const messages = messagesOf(this.conversation);
    try {
      const flag = this.saved.has(path) ? "w" : "wx";
      await writeFile(path, `${JSON.stringify(messages, null, 2)}\n`, { flag });
    } catch (error) {
      const exists = (error as NodeJS.ErrnoException).code === "EEXIST";
      const reason = exists ? `${path} is there already: choose another name` : messageOf(error);
      throw new PicoSpecError("not_saved", `not saved: ${reason}`, { cause: error });
    }
    this.saved.add(path);
    note(`${messages.length} messages saved to ${path}`);
  }

  /**
   * Answers the last question of a conversation, which is the chat's from here on with all that was said to it.
   * @throws Exit when a pipe was interrupted
   */
  private async answer(conversation: Conversation, seed: Seed): Promise<void> {
    this.conversation = conversation;
    const controller = new AbortController();
    const writer = new AnswerWriter();
    const interrupt = () => controller.abort();
    try {
      const whole = await this.reader.during(interrupt, () => this.ask(seed, writer, controller.signal));
      const { statistics, reason } = whole;
      if (reason !== "cancelled" || whole.text !== "") writer.said = whole.text;
      this.answers.push({ policy: this.policy.name, seed: seedText(seed), statistics });
      writer.end();
      this.tellEnd(reason);
    } catch (error) {
      this.unanswered = true;
      throw error;
    } finally {
      writer.end();
      // What was said stays, also where the link broke.
      if (writer.said !== null) this.conversation = answered(conversation, writer.said);
    }
  }

  /** A link that broke between two questions is made anew, once. */
  private async ask(seed: Seed, writer: AnswerWriter, signal: AbortSignal): Promise<WholeAnswer> {
    try {
      return await this.askOnce(seed, writer, signal);
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      this.edge.disconnect();
      if (writer.said !== null || signal.aborted) throw error;
      return await this.askOnce(seed, writer, signal);
    }
  }

  private async askOnce(seed: Seed, writer: AnswerWriter, signal: AbortSignal): Promise<WholeAnswer> {
    const { edge, values } = this;
    const { maxTokens, raw = false } = values;
    const { policy } = this.policy;
    const answerer = await unlessAborted(edge.answerer(policy), signal);
    // Interrupted while the cloud was away.
    if (!answerer) return edge.ask({ prompt: messagesOf(this.conversation), raw, policy, signal });
    const room = promptRoom(answerer.opener.model.contextTokens, maxTokens);
    const { messages, dropped } = await fitting(this.conversation, room, async (some) => {
      return (await edge.promptOf({ prompt: some, raw, answerer })).length;
    });
    this.tellDropped(dropped);
    const notice = standInNotice(answerer);
    if (notice !== null) note(notice);
    const sampler = samplerFrom(values);
    return edge.ask({ prompt: messages, raw, answerer, sampler, seed, maxTokens, signal }, (event) => {
      if (event.type === "text") writer.write(event.text);
    });
  }

  private tellDropped(dropped: number): void {
    if (dropped > this.dropped) {
      const turns = dropped === 1 ? "the oldest turn is" : `the ${dropped} oldest turns are`;
      note(`the conversation is longer than the context: ${turns} dropped`);
    }
    this.dropped = dropped;
  }

  private tellEnd(reason: WholeAnswer["reason"]): void {
    if (reason === "length") note(`[cut off after ${this.values.maxTokens} tokens: see --max-tokens]`);
    if (reason === "context") note("[cut off: the context is full]");
    if (reason !== "cancelled") return;
    this.interrupted = true;
    note("[interrupted]");
    if (!this.reader.interactive) throw new Exit(INTERRUPTED);
  }
}

/** Streams an answer to stdout. */
class AnswerWriter {
  /** null: nothing yet */
  said: string | null = null;
  private readonly toTerminal = process.stdout.isTTY === true;
  private open = false;

  write(text: string): void {
    if (text === "") return;
    this.said = (this.said ?? "") + text;
    this.open = true;
    // What a model says must not steer the terminal.
    process.stdout.write(this.toTerminal ? printable(text) : text);
  }

  end(): void {
    if (this.open) process.stdout.write("\n");
    this.open = false;
  }
}

/** Anything that is not the model's: on stderr, so that answers can be told from it. */
function note(text: string): void {
  process.stderr.write(`${colours(process.stderr).dim(text)}\n`);
}
