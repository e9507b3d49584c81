import { writesFile } from "./support/agent.mjs";

export const client = {
  name: "Claude Code",
  package: "@anthropic-ai/claude-code",
  how: "`ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=any claude`",
  needs: { "a task": "/v1/messages" },
};

export function flows({ key, scriptedUrl }) {
  return {
    "a task with a tool": () =>
      writesFile({
        program: "claude",
        call: (file_path, content) => ["Write", { file_path, content }],
        args: (prompt) => ["-p", prompt, "--model", "any", "--allowedTools", "Write"],
        env: {
          ...{ ANTHROPIC_BASE_URL: scriptedUrl, ANTHROPIC_API_KEY: key, DISABLE_AUTOUPDATER: "1" },
          ...{ DISABLE_ERROR_REPORTING: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
        },
      }),
  };
}
