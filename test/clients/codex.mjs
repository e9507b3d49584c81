import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writesFile } from "./support/agent.mjs";

export const client = {
  name: "Codex",
  package: "@openai/codex",
  how: '`~/.codex/config.toml`: `[model_providers.pico]` with `base_url = "http://127.0.0.1:8080/v1"`, `wire_api = "responses"`',
  needs: { "a task": "/v1/responses" },
};

export function flows({ key, scriptedUrl }) {
  const provider = `{name="pico",base_url="${scriptedUrl}/v1",env_key="PICO_KEY",wire_api="responses"}`;
  const home = join(process.cwd(), ".codex");
  return {
    "a task with a tool": () =>
      writesFile({
        program: "codex",
        before: () => mkdirSync(home, { recursive: true }),
        call: (path, text) => ["exec_command", { cmd: `printf '%s' '${text}' > '${path}'` }],
        args: (prompt) => [
          ...["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "any"],
          ...["-c", "model_provider=pico", "-c", `model_providers.pico=${provider}`],
          ...["-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false", prompt],
        ],
        env: { PICO_KEY: key, CODEX_HOME: home },
      }),
  };
}
