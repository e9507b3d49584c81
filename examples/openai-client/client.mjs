/** The openai client with another base URL: node examples/openai-client/client.mjs [BASE_URL] */
import OpenAI from "openai";

const [baseURL = "http://127.0.0.1:8080/v1"] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: "not needed" });

const stream = await openai.chat.completions.create({
  model: "picospec",
  messages: [
    { role: "user", content: "Nina has 12 apples. She buys 7 more. How many apples does she have now?" },
  ],
  temperature: 0,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.delta.content ?? "");
  if (usage) {
    const drafted = usage.completion_tokens_details.accepted_prediction_tokens;
    console.log(`\n${usage.completion_tokens} tokens, ${drafted} of them drafted on this device`);
  }
}
