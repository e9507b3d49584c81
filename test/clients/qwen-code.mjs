import { writesFile } from "./support/agent.mjs";

export const client = {
  name: "Qwen Code",
  package: "@qwen-code/qwen-code",
  how: "`qwen --auth-type openai --openai-base-url http://127.0.0.1:8080/v1 --openai-api-key any --model any`",
};

export function flows({ key, scriptedUrl }) {
  return {
    "a task with a tool": () =>
      writesFile({
        program: "qwen",
        call: (file_path, content) => ["write_file", { file_path, content }],
        args: (prompt) => [
          ...["--auth-type", "openai", "--openai-base-url", `${scriptedUrl}/v1`, "--openai-api-key", key],
          ...["--model", "any", "--approval-mode", "yolo", "-p", prompt],
        ],
        env: { QWEN_TELEMETRY_ENABLED: "false" },
      }),
  };
}
