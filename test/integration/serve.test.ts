import { expect, it } from "vitest";
import { DRAFTER, picospec, startServer, TARGET } from "../support/processes.ts";

/** Both halves by one command. */

const MODELS = ["--model", TARGET, "--draft-model", DRAFTER];
const HERE = ["--port", "0", "--gpu", "off"];

async function answers(url: string): Promise<{ readonly text: string; readonly by: string | null }> {
  const body = JSON.stringify({
    messages: [{ role: "user", content: "Hello!" }],
    max_tokens: 8,
    temperature: 0,
  });
  const headers = { authorization: "Bearer secret" };
  const response = await fetch(`${url}/chat/completions`, { method: "POST", headers, body });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return { text: choices[0]!.message.content, by: response.headers.get("x-picospec-answered-by") };
}

it.each([
  ["a drafter", MODELS],
  ["prompt lookup", ["--model", TARGET]],
])("a cloud and an edge with %s answer, and one interrupt ends both", async (_, models) => {
  const server = await startServer(["serve", ...models, ...HERE, "--api-key", "secret"]);
  const { text, by } = await answers(server.url);
  expect([text.length > 0, by]).toEqual([true, "target"]);
  const { status, stdout, stderr } = await server.stop("SIGINT");
  // The cloud holds the pipes as well: both have ended.
  expect(status).toBe(130);
  expect(stdout.match(/listening on/g)).toHaveLength(1);
  expect(stderr).not.toContain("is down");
});

it("says what is wrong: a target that is no model, a policy without a target, no model at all", async () => {
  const [file, policy, none] = await Promise.all([
    picospec(["serve", "--model", "package.json", ...HERE]),
    picospec(["serve", ...MODELS, ...HERE, "--policy", "edge"]),
    picospec(["serve", ...HERE]),
  ]);
  expect([file.status, policy.status, none.status]).toEqual([1, 2, 2]);
  expect(file.stderr).toContain("the cloud did not start");
  expect(policy.stderr).toContain("use picospec edge --policy edge");
  expect(none.stderr).toContain("--model <model>");
});
