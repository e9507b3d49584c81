/** The openai client with another base URL: node examples/openai-client/client.mjs [BASE_URL] */
import OpenAI from "openai";

const [baseURL = "http://127.0.0.1:8080/v1"] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: "not needed" });

const stream = await openai.chat.completions.create({
  model: "picospec",
  messages: [
    {
      role: "user",
      content: "Tom has 12 apples. He buys 5 more. Then he gives away 4. How many apples does Tom have now?",
    },
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
