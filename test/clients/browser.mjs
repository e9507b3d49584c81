import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { build } from "esbuild";
import { chromium } from "playwright-core";

export const client = {
  name: "OpenAI SDK in Chromium",
  package: "openai",
  how: "the same, with `dangerouslyAllowBrowser: true`; the edge with `--allow-origin` for the page",
};

const PAGE = `
import OpenAI from "openai";
globalThis.ask = async (baseURL, apiKey) => {
  const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0, dangerouslyAllowBrowser: true });
  const asked = { model: "any", messages: [{ role: "user", content: "@say as a page reads it" }] };
  const { choices } = await openai.chat.completions.create(asked);
  let streamed = "";
  for await (const part of await openai.chat.completions.create({ ...asked, stream: true })) {
    streamed += part.choices[0]?.delta.content ?? "";
  }
  return [choices[0].message.content, streamed];
};`;

/** A page with the SDK, on a port of its own, which is another origin than the endpoint's. */
async function withPage(name, use) {
  const { outputFiles } = await build({
    stdin: { contents: PAGE, resolveDir: import.meta.dirname },
    ...{ bundle: true, write: false, format: "iife", platform: "browser", logLevel: "error" },
  });
  const server = createServer((request, response) => {
    const script = request.url === "/sdk.js";
    response.setHeader("content-type", script ? "text/javascript" : "text/html");
    response.end(script ? outputFiles[0].text : '<!doctype html><script src="/sdk.js"></script>');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const executablePath = process.env.PICOSPEC_TEST_CHROMIUM || "/usr/bin/chromium";
  const args = [
    "--no-sandbox",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const page = await browser.newPage();
    await page.goto(`http://${name}:${server.address().port}/`);
    return await use(page);
  } finally {
    await browser.close();
    server.close();
  }
}

const ask = (page, base, key) =>
  page.evaluate(([url, apiKey]) => globalThis.ask(url, apiKey), [`${base}/v1`, key]);

export function flows({ key, scriptedUrl }) {
  return {
    "chat and stream from another origin": () =>
      withPage("localhost", async (page) => {
        const text = "as a page reads it";
        assert.deepEqual(await ask(page, scriptedUrl, key), [text, text]);
      }),
    "an origin that is not allowed gets nothing": () =>
      withPage("127.0.0.1", async (page) => {
        await assert.rejects(ask(page, scriptedUrl, key), /Connection error/);
        const url = `${scriptedUrl}/v1/models`;
        const read = (address) => fetch(address).then(({ status }) => status, String);
        assert.match(`${await page.evaluate(read, url)}`, /Failed to fetch/);
      }),
  };
}
