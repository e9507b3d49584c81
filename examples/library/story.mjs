/** An edge as a library: node examples/library/story.mjs [CLOUD] [MODEL] */
import { createEdge, schemaGrammar } from "picospec";

const [cloud = "ws://127.0.0.1:4747", model = "models/pico-drafter-q8_0.gguf"] = process.argv.slice(2);
const edge = await createEdge({ cloud, model });

try {
  // An answer comes as events, each token once and for good.
  const messages = [{ role: "user", content: "Tell me a story about a frog and a lantern." }];
  let story = "";
  for await (const event of edge.answer({ prompt: messages, seed: 7n, maxTokens: 200 })) {
    if (event.type === "text") {
      story += event.text;
      process.stdout.write(event.text);
    } else if (event.type === "end") {
      const { tokens, accepted } = event.end.statistics;
      console.log(`\n\n${event.end.reason}: ${tokens} tokens, ${accepted} of them drafted on this device`);
    }
  }

  // A second turn goes on in the cloud where the first one left off. This one is ended early.
  messages.push(
    { role: "assistant", content: story },
    { role: "user", content: "Tell me a story about a fox." },
  );
  const enough = new AbortController();
  let seen = 0;
  for await (const event of edge.answer({ prompt: messages, signal: enough.signal })) {
    if (event.type === "text" && ++seen === 5) enough.abort();
    if (event.type === "end") console.log(`ended early: ${event.end.reason}`);
  }

  // An answer that keeps to a JSON schema, all at once.
  const grammar = await schemaGrammar({
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  });
  const question = [{ role: "user", content: "Bea is 22 years old." }];
  const { text } = await edge.ask({ prompt: question, grammar, sampler: { temperature: 0 } });
  console.log(Object.keys(JSON.parse(text)));
} finally {
  await edge.close();
}
