import { once } from "node:events";
import type { Attack } from "./cloud.ts";
import { flood, many, tcp } from "./raw.ts";

/** What a hostile client can do to an edge's HTTP endpoint. */

const MB = 1024 * 1024;
const CHAT = "/v1/chat/completions";
const COMPLETIONS = "/v1/completions";

const head = (path: string, length: number | "chunked", more = "") =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`}\r\n${more}\r\n`;

/** One request, and what comes until the other side has said enough. @returns the status line */
async function post(port: number, path: string, body: string, over: () => boolean): Promise<string> {
  const socket = await tcp(port);
  let said = "";
  socket.on("data", (chunk: Buffer) => {
    if (said.length < 2000) said += chunk.toString("latin1");
  });
  const closed = once(socket, "close").catch(() => {});
  socket.write(head(path, Buffer.byteLength(body), "Connection: close\r\n"));
  const bytes = Buffer.from(body);
  await flood(
    socket,
    (i) => bytes.subarray(i * MB, (i + 1) * MB),
    () => over() || socket.bytesWritten >= bytes.length + 100,
  );
  const timer = setInterval(() => over() && socket.destroy(), 20);
  if (!socket.destroyed) await closed;
  clearInterval(timer);
  return said.split("\r\n")[0] ?? "";
}

/** The same request again and again. */
function posting(path: string, body: () => string, count = 4): Attack["run"] {
  return async (port, over) => {
    const text = body();
    await many(count, async () => {
      while (!over()) await post(port, path, text, over);
    });
  };
}

function holding(
  count: number,
  begin: (port: number, over: () => boolean) => ReturnType<typeof tcp>,
): Attack["run"] {
  return async (port, over) => {
    const sockets: Awaited<ReturnType<typeof tcp>>[] = [];
    for (let i = 0; i < count && !over(); i += 50) {
      sockets.push(...(await many(Math.min(50, count - i), () => begin(port, over))));
    }
    while (!over()) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const socket of sockets) socket.destroy();
  };
}

const list = (count: number, one: string) => `[${Array(count).fill(one).join(",")}]`;
const user = (content: string) =>
  `{"max_tokens":1,"messages":[{"role":"user","content":${JSON.stringify(content)}}]}`;

export const EDGE_ATTACKS: readonly Attack[] = [
  {
    name: "1 MB of logit_bias",
    run: posting(
      COMPLETIONS,
      () =>
        `{"prompt":"x","logit_bias":{${Array.from({ length: 100_000 }, (_, i) => `"${i}":1`).join(",")}}}`,
    ),
  },
  {
    name: "a body that is nested deeply",
    run: posting(CHAT, () => `{"messages":${"[".repeat(MB)}${"]".repeat(MB)}}`),
  },
  {
    name: "a million wrong values",
    run: posting(CHAT, () => `{"messages":[{"role":"user","content":${list(MB, "1")}}]}`),
  },
  {
    name: "10,000 messages",
    run: posting(CHAT, () => `{"max_tokens":1,"messages":${list(9990, '{"role":"user","content":"x"}')}}`),
  },
  {
    name: "300,000 token ids",
    run: posting(COMPLETIONS, () => `{"max_tokens":1,"prompt":${list(299_000, "1")}}`),
  },
  {
    name: "a tool of 300,000 values",
    run: posting(
      CHAT,
      () =>
        `{"max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"enum":${list(290_000, "1")}}}}]}`,
    ),
  },
  {
    name: "a oneOf that nothing tells apart",
    run: posting(
      CHAT,
      () =>
        `{"max_tokens":1,"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"oneOf":[${Array.from({ length: 480 }, (_, i) => `{"type":"string","minLength":${2 * i},"maxLength":${2 * i + 1}}`).join(",")}]}}}}`,
    ),
  },
  {
    name: "20,000 fields",
    run: posting(
      CHAT,
      () =>
        `{"messages":[{"role":"user","content":"x"}],"max_tokens":1,${Array.from({ length: 19_000 }, (_, i) => `"k${i}":1`).join(",")}}`,
    ),
  },
  { name: "30,000 equal letters", run: posting(CHAT, () => user("a".repeat(30_000))) },
  {
    name: "6,000 equal letters",
    run: posting(COMPLETIONS, () => `{"max_tokens":1,"prompt":"${"a".repeat(6000)}"}`),
  },
  { name: "6,000 spaces", run: posting(CHAT, () => user(" ".repeat(6000))) },
  { name: "1 MB of special tokens", run: posting(CHAT, () => user("<|user|>".repeat(MB / 8))) },
  { name: "8 KB of special tokens", run: posting(CHAT, () => user("<|user|> ".repeat(900))) },
  { name: "4 MB of text", run: posting(CHAT, () => user("All is well. ".repeat(310_000))) },
  {
    name: "a grammar that dictates 8,000 letters",
    run: posting(COMPLETIONS, () =>
      JSON.stringify({ prompt: "x", max_tokens: 2, grammar: `start: "${"a".repeat(8000)}"` }),
    ),
  },
  {
    name: "100 MB of a body",
    run: async (port, over) => {
      await many(8, async () => {
        while (!over()) {
          const socket = await tcp(port);
          socket.write(head(CHAT, 100 * MB));
          await flood(socket, () => Buffer.alloc(MB, 0x20), over);
          socket.destroy();
        }
      });
    },
  },
  {
    name: "4 MB of a body, unfinished, 60 times",
    run: holding(60, async (port, over) => {
      const socket = await tcp(port);
      socket.write(head(CHAT, 4 * MB));
      await flood(
        socket,
        () => Buffer.alloc(MB - 100, 0x20),
        () => over() || socket.bytesWritten > 3 * MB,
      );
      return socket;
    }),
  },
  {
    name: "bodies in pieces of one byte",
    run: async (port, over) => {
      await many(8, async () => {
        while (!over()) {
          const socket = await tcp(port);
          socket.write(head(CHAT, "chunked"));
          await flood(socket, () => Buffer.from("1\r\n \r\n".repeat(4000)), over);
          socket.destroy();
        }
      });
    },
  },
  {
    name: "requests that are never finished",
    run: holding(900, async (port) => {
      const socket = await tcp(port);
      socket.write(head(CHAT, 1000));
      return socket;
    }),
  },
  { name: "sockets that ask nothing", run: holding(3000, (port) => tcp(port)) },
  {
    name: "1 MB of headers",
    run: async (port, over) => {
      await many(8, async () => {
        while (!over()) {
          const socket = await tcp(port);
          socket.write("GET /health HTTP/1.1\r\n");
          await flood(socket, () => Buffer.from(`X: ${"x".repeat(1000)}\r\n`.repeat(64)), over);
          socket.destroy();
        }
      });
    },
  },
  {
    name: "pipelined requests, unread",
    run: async (port, over) => {
      await many(8, async () => {
        while (!over()) {
          const socket = await tcp(port, false);
          await flood(
            socket,
            () => Buffer.from("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200)),
            over,
          );
          socket.destroy();
        }
      });
    },
  },
  {
    name: "streams that are not read",
    run: holding(30, async (port) => {
      const socket = await tcp(port, false);
      const body =
        '{"stream":true,"max_tokens":30,"n":1,"messages":[{"role":"user","content":"Tell me a story."}]}';
      socket.write(head(CHAT, body.length) + body);
      return socket;
    }),
  },
];
