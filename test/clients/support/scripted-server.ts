import { type HttpServer, serveHttp } from "../../../src/api/server.ts";
import { FORMATS } from "../../../src/text/formats/registry.ts";
import { systemClock } from "../../../src/transport/node/clock.ts";
import { byteGrammars } from "../../support/byte-grammars.ts";
import { type Script, scriptedEdge, scriptedSeed } from "../../support/scripted.ts";

/**
 * An endpoint on a real socket whose model does what the last question says, to the end of a line:
 * `@call NAME {"an": "argument"}` calls a tool, `@say TEXT` says so, `@think TEXT` before it is a thought. What a tool
 * has answered is told back: `the tool said RESULT`.
 */

const TEMPLATE = `{%- for message in messages -%}
{{- "\\n[[" + message.role + "]] " }}{{ message.content }}
{%- endfor -%}
{%- if tools %}{{ "\\n[[tools]]" }}{% endif -%}
{#- <tool_call> </tool_call> <think> </think> -#}`;

const MOST_RESULT_UNITS = 200;

const script: Script = (prompt) => {
  const parts = prompt.split("\n[[").map((part) => /^(\w+)\]\] ?(.*)$/s.exec(part));
  const said = parts.flatMap((part) => (part ? [{ role: part[1]!, text: part[2]! }] : []));
  const hasTools = said.some(({ role }) => role === "tools");
  const asked = said.findLastIndex(({ role, text }) => role === "user" && /@(?:call|say) /.test(text));
  const result = said.slice(asked + 1).findLast(({ role }) => role === "tool");
  if (result) return `the tool said ${result.text.slice(0, MOST_RESULT_UNITS)}`;
  const text = said[asked]?.text ?? "";
  const line = (name: string) => new RegExp(`@${name} (.*)`).exec(text)?.[1];
  const thought = line("think");
  const before = thought === undefined ? "" : `<think>\n${thought}\n</think>\n\n`;
  const call = /@call (\S+) (\{.*\})/.exec(text);
  if (call && hasTools) {
    return `${before}<tool_call>\n{"name": ${JSON.stringify(call[1])}, "arguments": ${call[2]}}\n</tool_call>`;
  }
  return `${before}${line("say") ?? "Hello from the script."}`;
};

/** @param origins pages of which may ask */
export async function startScripted(key: string, origins: readonly string[] = []): Promise<HttpServer> {
  const format = FORMATS.find(({ name }) => name === "hermes")!;
  const edge = scriptedEdge({ script, template: TEMPLATE, specials: [], grammars: await byteGrammars() });
  return serveHttp({
    ...{ edge, freshSeed: scriptedSeed, concurrent: 8, waiting: 64, host: "127.0.0.1", port: 0 },
    ...{ guard: { hosts: [], origins, apiKey: key }, software: "scripted/0", clock: systemClock },
    ...{ notReady: () => null, formatOf: () => format },
  });
}
