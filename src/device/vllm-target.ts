import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../engine/engine.ts";
import { metadataOfBytes } from "../engine/llama/header.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { connectServers } from "../engine/vllm/connect.ts";
import { VllmEngine } from "../engine/vllm/engine.ts";
import { type HfVocabulary, hfVocabulary } from "../engine/vllm/hf-vocabulary.ts";
import { folderOf, readModelFolder } from "../engine/vllm/model-folder.ts";
import { serverTokens, trialTexts } from "../engine/vllm/trial-texts.ts";
import type { Upstream } from "../engine/vllm/upstream.ts";
import { systemClock } from "../transport/node/clock.ts";
import { SettingError } from "../util/errors.ts";
import { givenOf } from "./given-vocabulary.ts";
import { checkTokenizer } from "./isolation/check.ts";
import { freshSecret } from "./node.ts";
import type { OpenedTarget, TargetRequest } from "./target.ts";

/** vLLM as a target: servers that answer, and their tokenizer as edges can read it. */

/** @throws EngineError, SettingError */
export async function openVllm(request: TargetRequest): Promise<OpenedTarget> {
  const { servers, model = null, contextTokens } = request;
  if (!servers || servers.urls.length === 0) {
    throw new SettingError(
      "url",
      "vllm is a server of its own: give its address, --url http://127.0.0.1:8000",
    );
  }
  const { notice, runs } = servers;
  const told = { clock: systemClock, random: Math.random, told: notice };
  const upstreams = await connectServers({ ...servers, model, ...told });
  try {
    const { facts } = oneModel(upstreams);
    const { folder, vocabulary, file, tokenizer } = await tokenizerOf(servers.tokenizer, upstreams[0]!);
    const most = Math.min(...upstreams.map(({ facts: { contextTokens: one } }) => one));
    const engine = new VllmEngine({
      info: {
        name: facts.model,
        vocabularySize: vocabulary.tokens.length,
        contextTokens: Math.min(most, contextTokens ?? Number.POSITIVE_INFINITY),
      },
      ...{ upstreams, runs, clock: systemClock, freshId: () => `picospec-${freshSecret()}` },
      told: notice,
      secret: servers.mailboxSecret ?? servers.apiKey ?? randomBytes(32).toString("hex"),
    });
    const { endTokens } = vocabulary;
    for (const upstream of upstreams) upstream.expectVocabulary(vocabulary.tokens.length);
    const { chatTemplate } = folder;
    for (const line of sayDrafts(upstreams)) notice(line);
    return {
      engine,
      description: { name: facts.model, fingerprint: tokenizer.fingerprint, chatTemplate, endTokens },
      ...givenOf(metadataOfBytes(file)),
      grammars: null,
      library: { build: facts.dialect.name, version: facts.version ?? "unknown" },
      compute: upstreams.map(({ http }) => http.name).join(", "),
      encode: (text) => tokenizer.encode(text, true),
      close() {
        engine.close();
        tokenizer.close();
      },
    };
  } catch (error) {
    for (const upstream of upstreams) upstream.close();
    throw error;
  }
}

/** @throws EngineError for servers of different models, as far as they tell */
function oneModel(upstreams: readonly Upstream[]): Upstream {
  const [first, ...others] = upstreams as readonly [Upstream, ...Upstream[]];
  const stranger = others.find(({ facts }) => facts.model !== first.facts.model);
  if (!stranger) return first;
  const names = `${first.facts.model} (${first.http.name}) and ${stranger.facts.model} (${stranger.http.name})`;
  throw new EngineError("no_model", `the servers have different models, ${names}; one gateway serves one`);
}

function sayDrafts(upstreams: readonly Upstream[]): string[] {
  return upstreams
    .filter(({ mailboxes }) => mailboxes.length === 0)
    .map(
      ({ http }) => `drafts are not used at ${http.name}: it has no --mailbox; answers are those of cloud`,
    );
}

/** @throws EngineError `no_tokenizer` that says what to give */
async function tokenizerOf(given: string | null, upstream: Upstream) {
  const { root } = upstream.facts;
  const path = given ?? (await folderOf(root, hubCache()));
  if (path === null) {
    const message = `the model's tokenizer.json is not on this machine (${root ?? "the server does not say where it is"}); give its folder with --tokenizer`;
    throw new EngineError("no_tokenizer", message);
  }
  const folder = await readModelFolder(path);
  const vocabulary = hfVocabulary(folder);
  const marks = [folder.beginText, folder.endText].filter((text) => text !== null);
  const texts = trialTexts(marks);
  const ids = await serverTokens(upstream, texts);
  const expected = new Map(texts.map((text, i) => [text, ids[i]!]));
  for (const pre of vocabulary.candidates) {
    const found = await tokenizerAs(vocabulary, pre, expected);
    if (found) return { folder, vocabulary, ...found };
  }
  const message = `no way to cut texts that llama.cpp knows gives the tokens that ${upstream.http.name} makes: is ${path} the model's own folder? Give that with --tokenizer`;
  throw new EngineError("no_tokenizer", message);
}

/** The tokenizer as edges will have it; null: it reads texts otherwise than the server. */
async function tokenizerAs(vocabulary: HfVocabulary, pre: string, expected: ReadonlyMap<string, string>) {
  const file = vocabulary.file(pre);
  const model = await loaded(file);
  if (!model) return null;
  const tokenizer = new LlamaTokenizer(model, file);
  const same = [...expected].every(([text, ids]) => tokenizer.encode(text, true).join() === ids);
  if (!same) {
    model.close();
    return null;
  }
  const { fingerprint } = tokenizer;
  const encode = (text: string, special: boolean) => tokenizer.encode(text, special);
  return { file, tokenizer: { fingerprint, encode, close: () => model.close() } };
}

/** null: llama.cpp has no such way to cut texts */
async function loaded(file: Uint8Array): Promise<LlamaModel | null> {
  const folder = await mkdtemp(join(tmpdir(), "picospec-"));
  try {
    const path = join(folder, "tokenizer.gguf");
    await writeFile(path, file);
    await checkTokenizer(file, path);
    return await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
  } catch (error) {
    if (error instanceof EngineError && error.code === "bad_model") return null;
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Hugging Face's own rules, which vLLM goes by as well. */
function hubCache(): string {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  return (
    HF_HUB_CACHE || join(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"), "hub")
  );
}
