import type { Socket } from "node:net";
import { POLICIES } from "../../src/decoding/policy.ts";
import { encode } from "../../src/protocol/encode.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/settings.ts";
import { flood, frame, greeted, HELLO, many, OPCODE, tcp, webSocket, wsFrame } from "./raw.ts";

/** What a hostile edge can do to a cloud's port, each for as long as it is let. */

export interface Attack {
  readonly name: string;
  /** @param over the time is up: let go */
  run(port: number, over: () => boolean): Promise<void>;
}

const MB = 1024 * 1024;
const message = (bytes: Uint8Array) => wsFrame(OPCODE.binary, bytes);
const repeated = (bytes: Uint8Array, times: number) => Buffer.concat(Array<Uint8Array>(times).fill(bytes));

function openJson(json: string, session = 1): Buffer {
  const head = Buffer.alloc(8 + 4);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(Buffer.byteLength(json), 4);
  head.writeUInt32LE(5, 8);
  return frame(3, session, Buffer.concat([head, Buffer.from(json)]));
}

/** An `open` that is right. */
function opening(
  session: number,
  more: { readonly grammar?: string; readonly tokens?: number } = {},
): Buffer {
  const { grammar, tokens = 3 } = more;
  return Buffer.from(
    encode({
      type: "open",
      session,
      tokens: new Int32Array(tokens).fill(7),
      settings: {
        policy: POLICIES.picospec,
        sampler: samplerSettings({}),
        seed: toSeed(1),
        maxTokens: 100,
        ...(grammar === undefined ? {} : { grammar: { kind: "ebnf", source: grammar } as const }),
      },
      secret: null,
      resume: null,
      plainGrammar: true,
    }),
  );
}

/** The same message, each time for the next session. */
function numbered(bytes: Buffer): (i: number) => Uint8Array {
  const whole = message(bytes);
  const at = whole.length - bytes.length + 4;
  return (i) => {
    const copy = Buffer.from(whole);
    copy.writeUInt32LE(i + 1, at);
    return copy;
  };
}

const BIASES = `{"sampler":{"logitBias":[${Array(130_000).fill("[1,1.5]").join(",")}]}}`;

/** The same connection again each time that it is closed. */
function again(
  make: (port: number) => Promise<Socket>,
  next: (i: number) => Uint8Array,
  count = 4,
): Attack["run"] {
  return async (port, over) => {
    await many(count, async () => {
      while (!over()) {
        const socket = await make(port);
        await flood(socket, next, over);
        socket.destroy();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
  };
}

/** So many connections that hold what they have sent, until it is over. */
function holding(count: number, make: (port: number, over: () => boolean) => Promise<Socket>): Attack["run"] {
  return async (port, over) => {
    const sockets: Socket[] = [];
    for (let i = 0; i < count && !over(); i += 50) {
      sockets.push(...(await many(Math.min(50, count - i), () => make(port, over))));
    }
    while (!over()) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const socket of sockets) socket.destroy();
  };
}

const begun = (bytes: number, length: number) => wsFrame(OPCODE.binary, Buffer.alloc(bytes), true, length);

export const CLOUD_ATTACKS: readonly Attack[] = [
  {
    name: "handshakes that are never finished",
    run: holding(1500, async (port) => {
      const socket = await tcp(port);
      socket.write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n");
      return socket;
    }),
  },
  { name: "sockets that say nothing", run: holding(3000, (port) => tcp(port)) },
  {
    name: "handshakes with 200 KB of headers",
    run: again(
      (port) => webSocket(port, true, `X: ${"x".repeat(1000)}\r\n`.repeat(200)),
      () => Buffer.alloc(1),
      8,
    ),
  },
  { name: "connections that say no hello", run: holding(1000, (port) => webSocket(port)) },
  {
    name: "16 MB before hello",
    run: again(
      (port) => webSocket(port),
      (i) => (i === 0 ? begun(MB, 16 * MB) : Buffer.alloc(MB)),
      16,
    ),
  },
  {
    name: "60 KB before hello, unfinished, 800 times",
    run: holding(800, async (port) => {
      const socket = await webSocket(port);
      socket.write(begun(60_000, 65_000));
      return socket;
    }),
  },
  {
    name: "a hello of 1 MB",
    run: again(
      (port) => webSocket(port),
      () =>
        message(
          frame(
            1,
            0,
            `{"protocol":1,"client":"","fingerprint":"","features":[${Array(250_000).fill('"x"').join(",")}]}`,
          ),
        ),
    ),
  },
  {
    name: "15 MB of a message, unfinished, 40 times",
    run: holding(40, async (port, over) => {
      const socket = await greeted(port);
      await flood(
        socket,
        (i) => (i === 0 ? begun(MB, 16 * MB) : Buffer.alloc(MB)),
        () => over() || socket.bytesWritten > 15 * MB,
      );
      return socket;
    }),
  },
  {
    name: "fragments of one byte",
    run: again(
      (port) => greeted(port),
      (i) =>
        repeated(wsFrame(i === 0 ? OPCODE.binary : OPCODE.more, Buffer.alloc(1), false), i === 0 ? 1 : 8192),
    ),
  },
  {
    name: "empty fragments",
    run: again(
      (port) => greeted(port),
      (i) =>
        repeated(wsFrame(i === 0 ? OPCODE.binary : OPCODE.more, Buffer.alloc(0), false), i === 0 ? 1 : 8192),
    ),
  },
  {
    name: "a message in pieces of one byte",
    run: again(
      (port) => greeted(port),
      (i) => (i === 0 ? begun(1, 16 * MB) : Buffer.alloc(1)),
    ),
  },
  {
    name: "a flood of WebSocket pings",
    run: again(
      (port) => greeted(port, false),
      () => repeated(wsFrame(OPCODE.ping, Buffer.alloc(125)), 500),
    ),
  },
  {
    name: "a flood of WebSocket pongs",
    run: again(
      (port) => greeted(port),
      () => repeated(wsFrame(OPCODE.pong, Buffer.alloc(125)), 500),
    ),
  },
  {
    name: "pings with an echo of 256 KB, unread",
    run: again(
      (port) => greeted(port, false),
      () => {
        const body = Buffer.alloc(12 + 262_144);
        body.writeUInt32LE(262_144, 8);
        const ping = frame(11, 0, body);
        ping[1] = 1;
        return message(ping);
      },
      30,
    ),
  },
  {
    name: "a storm of small pings",
    run: again(
      (port) => greeted(port),
      () => repeated(message(frame(11, 0, Buffer.alloc(12))), 2000),
    ),
  },
  {
    name: "requests for the tokenizer, unread",
    run: again(
      (port) => greeted(port, false),
      () => repeated(message(frame(13, 0, "")), 100),
      30,
    ),
  },
  {
    name: "requests for chunks of the vocabulary, unread",
    run: again(
      (port) => greeted(port, false),
      () => repeated(message(frame(16, 0, Buffer.alloc(8))), 100),
      30,
    ),
  },
  {
    name: "1 MB of logitBias",
    run: again((port) => greeted(port), numbered(openJson(BIASES))),
  },
  {
    name: "JSON that is nested deeply",
    run: again(
      (port) => greeted(port),
      numbered(openJson(`{"x":${"[".repeat(500_000)}${"]".repeat(500_000)}}`)),
    ),
  },
  {
    name: "JSON of 100,000 fields",
    run: again(
      (port) => greeted(port),
      numbered(openJson(`{"sampler":{${Array.from({ length: 80_000 }, (_, k) => `"k${k}":1`).join(",")}}}`)),
    ),
  },
  {
    name: "sessions opened and cancelled",
    run: again(
      (port) => greeted(port),
      (i) =>
        Buffer.concat(
          Array.from({ length: 50 }, (_, k) => {
            const session = 1 + i * 50 + k;
            return Buffer.concat([message(opening(session)), message(frame(8, session, ""))]);
          }),
        ),
    ),
  },
  {
    name: "prompts of a million tokens",
    run: again((port) => greeted(port), numbered(opening(1, { tokens: 1_000_000 }))),
  },
  {
    name: "grammars of 250,000 characters",
    run: again(
      (port) => greeted(port),
      numbered(opening(1, { grammar: `root ::= "${"a".repeat(250_000)}"` })),
    ),
  },
  {
    name: "many grammars in one write",
    run: again(
      (port) => greeted(port),
      (i) => {
        // Each compiles for a while, and is another one.
        const rules = Array.from(
          { length: 60 },
          (_, rule) => `r${rule} ::= [a-${"xyz"[rule % 3]}]{1,${rule + 2}} "${i}"`,
        );
        const grammar = `root ::= ${rules.map((_, rule) => `r${rule}`).join(" | ")}\n${rules.join("\n")}`;
        const opens = Array.from({ length: 12 }, (_, at) =>
          opening(12 * i + at + 1, { grammar: `${grammar}\n# ${at}` }),
        );
        return Buffer.concat(opens.map(message));
      },
    ),
  },
  {
    name: "drafts and requests for no session",
    run: again(
      (port) => greeted(port),
      () =>
        Buffer.concat([
          repeated(message(frame(4, 77, Buffer.alloc(16))), 1000),
          repeated(message(frame(6, 77, Buffer.alloc(12))), 1000),
        ]),
    ),
  },
  {
    name: "messages that are no frames",
    run: again(
      (port) => greeted(port),
      () => repeated(message(Buffer.from([99, 1, 2])), 1000),
    ),
  },
  {
    name: "hello after hello",
    run: again(
      (port) => greeted(port),
      () => repeated(message(HELLO), 100),
    ),
  },
  {
    name: "frames of 16 MB",
    run: again(
      (port) => greeted(port),
      () => message(frame(4, 1, Buffer.alloc(16 * MB - 8))),
      3,
    ),
  },
  {
    name: "compressed messages",
    run: again(
      (port) => webSocket(port, true, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
      () => {
        const bytes = wsFrame(OPCODE.binary, Buffer.alloc(1000));
        bytes[0] = bytes[0]! | 0x40;
        return bytes;
      },
    ),
  },
  {
    name: "text, and frames out of order",
    run: again(
      (port) => greeted(port),
      (i) => wsFrame(i % 2 === 0 ? OPCODE.more : OPCODE.text, Buffer.from("hello")),
    ),
  },
];
