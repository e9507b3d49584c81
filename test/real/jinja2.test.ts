import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { renderTemplate } from "../../src/text/chat-template.ts";
import { abilitiesOf } from "../../src/text/templates/abilities.ts";
import { parseTemplate } from "../../src/text/templates/interpreter.ts";
import { preparedMessages } from "../../src/text/templates/prepare.ts";
import { CONVERSATIONS } from "../support/chat/conversations.ts";
import { realTemplates, testCache } from "../support/vocabularies.ts";

/** The template engine against Python's jinja2: every real template over nine conversations. */

const VERSION = "jinja2==3.1.6";
const NOW = new Date(2024, 6, 26, 12);

const ALL = CONVERSATIONS.map(({ name }) => name).join(" ");
const WITH_TOOLS = "tools call calls thought-call";
const WITHOUT_TOOLS = "plain system turns parts thought";

/**
 * Renderings that differ, by why: mostly jinja2 refuses, for templates that transformers cannot render either, and we do
 * not. What no longer differs fails the test, too.
 */
const DIFFERENT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Texts that `safe` marks escape what is added to them; neither llama.cpp's nor ours do.
  "other text": { "meetkai-functionary-medium-v3.1": WITH_TOOLS },
  "SecurityError: access to attribute 'append' of 'list' object is unsafe.": {
    "Kimi-K2-Instruct": "call calls thought-call",
    "Kimi-K2-Thinking": "call calls thought-call",
  },
  "TypeError: 'NoneType' object is not iterable": {
    "CohereForAI-c4ai-command-r-plus-tool_use": WITHOUT_TOOLS,
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": WITHOUT_TOOLS,
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": WITHOUT_TOOLS,
  },
  "TypeError: Object of type generator is not JSON serializable": { "llama-cpp-deepseek-r1": WITH_TOOLS },
  "UndefinedError: 'dict object' has no attribute 'description'": {
    "CohereForAI-c4ai-command-r-plus-tool_use": WITH_TOOLS,
  },
  "UndefinedError: 'functions' is undefined": { "fireworks-ai-llama-3-firefunction-v2": ALL },
};

function python(args: readonly string[], input = "", env = {}): string {
  const { status, stdout, stderr, error } = spawnSync("python3", args, {
    ...{ input, encoding: "utf8", maxBuffer: 2 ** 27 },
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`python3 ${args.join(" ")} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** The folder that has the package, fetched once. */
function fetchedPackage(): string {
  const folder = join(testCache(), "jinja2-3.1.6");
  if (!existsSync(join(folder, "jinja2")))
    python(["-m", "pip", "install", "--quiet", "--target", folder, VERSION]);
  return folder;
}

const VARIABLES = { add_generation_prompt: true, bos_token: "<s>", eos_token: "</s>" };

function rendered(source: string, conversation: (typeof CONVERSATIONS)[number]): string | null {
  try {
    return renderTemplate(source, { ...VARIABLES, ...conversation });
  } catch {
    return null;
  }
}

describe("the template engine", () => {
  beforeAll(() => {
    vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  });
  afterAll(() => {
    vi.useRealTimers();
  });

  it("writes what Python's jinja2 writes, except where the table has a reason", async () => {
    const templates = [...(await realTemplates())];
    const cases = templates.flatMap(([name, source]) => {
      const abilities = abilitiesOf(parseTemplate(source), source);
      return CONVERSATIONS.map((conversation) => ({ name, source, abilities, conversation }));
    });
    const requests = cases.map(({ source, abilities, conversation: { messages, tools } }) => ({
      source,
      variables: {
        ...VARIABLES,
        ...{ messages: preparedMessages(messages, abilities), tools: tools.length > 0 ? tools : null },
        ...{ enable_thinking: true, date_string: "26 Jul 2024", datetime: "Jul 26 2024" },
      },
    }));
    const script = fileURLToPath(new URL("../support/chat/render.py", import.meta.url));
    const told = JSON.parse(python([script], JSON.stringify(requests), { PYTHONPATH: fetchedPackage() }));
    const different: Record<string, Record<string, string>> = {};
    cases.forEach(({ name, source, conversation }, i) => {
      const { text = null, error = "" } = told[i] as { text?: string; error?: string };
      if (rendered(source, conversation) === text) return;
      different[text === null ? error : "other text"] ??= {};
      const by = different[text === null ? error : "other text"]!;
      by[name] = [by[name], conversation.name].filter(Boolean).join(" ");
    });
    expect(different).toEqual(DIFFERENT);
  });
});
