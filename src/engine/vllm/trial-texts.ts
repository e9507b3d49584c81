import { EngineError } from "../engine.ts";
import type { Upstream } from "./upstream.ts";

/** Texts that are easily cut otherwise. */
const TRIAL_TEXTS: readonly string[] = [
  "Hello, world! It's a test; we'll see whether they're the same, aren't they?",
  "IT'S WE'LL THEY'RE don'T   three   spaces\t\ttabs\r\n\r\n\nlines \n \n end ",
  " leading 1 12 123 1234 12345 1234567890 3.14159 1,000,000 0x1F 2024-12-31",
  "for (let i = 0; i < n; i++) {\n    total += values[i] ** 2; // squares\n}\n\n\n",
  "snake_case CamelCase HTTPServer kebab-case __init__ a.b.c @user #tag $x %d &c; \\n ~/path/to_file.txt",
  "Größe, naïve café, Ærøskøbing; Привет, мир! Ελληνικά; ١٢٣ مرحبا بالعالم; हिन्दी में",
  "你好，世界。日本語のテキスト、カタカナ。한국어 문장입니다. ภาษาไทย",
  "😀 👩‍👩‍👧‍👦 🇩🇪 ½ ² ™ … “quoted” — dash – • bullet \u00a0nbsp \u200bzero",
  "https://example.com/a?b=c&d=e#f (parentheses) [brackets] {braces} <tag attr='1'>",
  "¡Hola! ¿Qué tal? L'été, c'est l'homme qu'il aimait. ÜBER ÄÖÜß ﬁ ﬂ Ⅷ",
];

/** Texts by which two tokenizers are told apart. @param marks of a chat: each is one token, wherever it is */
export function trialTexts(marks: readonly string[]): string[] {
  return [...TRIAL_TEXTS, ...marks.map((mark) => `${mark}user\nHi there${mark}\n${mark} ${mark}x`)];
}

/**
 * What the server's tokenizer makes of each, ids joined by commas.
 * @throws EngineError `no_tokenizer` where it does not tell
 */
export async function serverTokens({ http, facts }: Upstream, texts: readonly string[]): Promise<string[]> {
  const tokens: string[] = [];
  for (const prompt of texts) {
    const { status, json } = await http.ask("/tokenize", { model: facts.model, prompt });
    const ids = (json as { tokens?: unknown } | undefined)?.tokens;
    if (status !== 200 || !Array.isArray(ids)) {
      const message = `${http.name} does not tell how it reads texts (/tokenize gives ${status}), so that edges could read them otherwise; take vLLM with its tokenizer`;
      throw new EngineError("no_tokenizer", message);
    }
    tokens.push(ids.join());
  }
  return tokens;
}
