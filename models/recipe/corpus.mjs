/** The text that models are trained on, rendered by their chat template: a file of JSON lines. */
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
import { conversation, drillConversation } from "../../dist/lab/tasks/conversation.js";

export const chatTemplate = readFileSync(new URL("chat-template.jinja", import.meta.url), "utf8").trim();
const template = new Template(chatTemplate);

/** One in so many is a drill: without them digits stay wrong. */
const DRILL_ONE_IN = 4;

/**
 * A conversation as pieces of text: what the assistant is given, what it says, and so on in turns.
 * @param {import("../../dist/lab/tasks/conversation.js").Conversation} conversation
 * @returns {string[]} an even number of them
 */
export function piecesOf({ system, tools, turns }) {
  const messages = system === null ? [...turns] : [{ role: "system", content: system }, ...turns];
  const render = (count, asks) =>
    template.render({ messages: messages.slice(0, count), tools, add_generation_prompt: asks });
  const pieces = [];
  let before = "";
  for (const [i, { role }] of messages.entries()) {
    if (role !== "assistant") continue;
    for (const text of [render(i, true), render(i + 1, false)]) {
      if (!text.startsWith(before)) throw new Error("the template changes what it rendered before");
      pieces.push(text.slice(before.length));
      before = text;
    }
  }
  return pieces;
}

/** Lines of a corpus. @param {"training" | "held-out"} split */
export function* corpus(seed, count, split) {
  for (let number = 0; number < count; number++) {
    const drill = split === "training" && number % DRILL_ONE_IN === DRILL_ONE_IN - 1;
    const talk = drill ? drillConversation(seed, number) : conversation(seed, number, split);
    yield `${JSON.stringify({ families: talk.families, pieces: piecesOf(talk) })}\n`;
  }
}
