import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writesFile } from "./support/agent.mjs";

export const client = {
  name: "opencode",
  package: "opencode-ai",
  how: '`opencode.json`: a provider with `"npm": "@ai-sdk/openai-compatible"` and `"options": {"baseURL": "http://127.0.0.1:8080/v1"}`',
};

export function flows({ key, scriptedUrl }) {
  const options = { baseURL: `${scriptedUrl}/v1`, apiKey: key };
  const pico = {
    npm: "@ai-sdk/openai-compatible",
    name: "PicoSpec",
    options,
    models: { any: { name: "any" } },
  };
  const config = { autoupdate: false, share: "disabled", provider: { pico }, permission: "allow" };
  return {
    "a task with a tool": () =>
      writesFile({
        program: "opencode",
        before: (folder) => writeFileSync(join(folder, "opencode.json"), JSON.stringify(config)),
        call: (filePath, content) => ["write", { filePath, content }],
        // An argument with a space would be put in quotes.
        args: (prompt) => ["run", "-m", "pico/any", ...prompt.split(/\s/)],
        env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1" },
      }),
  };
}
