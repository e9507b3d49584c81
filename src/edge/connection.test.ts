import { describe, expect, it } from "vitest";
import { TARGET } from "../../test/support/target.ts";
import type { Frame } from "../protocol/frame.ts";
import { PROTOCOL_VERSION, pongFor } from "../protocol/frame.ts";
import type { FrameHandlers, FrameLink } from "../protocol/link.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { TimerQueue } from "../util/timer-queue.ts";
import type { CloudError } from "./connection.ts";
import { RemoteOpener } from "./opener.ts";

/** What is asked of a cloud outside any session is answered, or comes back with an error, also where links break. */

class FakeClock implements Clock {
  private timeMs = 0;
  private readonly queue = new TimerQueue();

  nowMs(): number {
    return this.timeMs;
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    return this.queue.add(Math.max(atMs, this.timeMs), callback);
  }

  runTo(untilMs: number): void {
    for (let due = this.queue.takeDue(untilMs); due; due = this.queue.takeDue(untilMs)) {
      this.timeMs = due.atMs;
      due.callback();
    }
    this.timeMs = untilMs;
  }
}

class FakeLink implements FrameLink {
  readonly sent: Frame[] = [];
  private handlers!: FrameHandlers;

  start(handlers: FrameHandlers): void {
    this.handlers = handlers;
  }

  send(frame: Frame): number {
    this.sent.push(frame);
    return 8;
  }

  close(): void {}

  says(frame: Frame): void {
    this.handlers.frame(frame, 8);
  }

  breaks(): void {
    this.handlers.closed("unplugged");
  }

  count(type: Frame["type"]): number {
    return this.sent.filter((frame) => frame.type === type).length;
  }
}

const welcome: Frame = { type: "welcome", protocol: PROTOCOL_VERSION, server: "s", target: TARGET };

/** An edge that is connected, and every link that it makes. */
function connected() {
  const clock = new FakeClock();
  const links = [new FakeLink()];
  const client = new RemoteOpener({
    link: links[0]!,
    reconnect: (done) => {
      const link = new FakeLink();
      links.push(link);
      done(null, link);
    },
    reconnectWithinMs: 60_000,
    fingerprint: "",
    client: "c",
    clock,
    drafter: null,
    secret: null,
    ready: () => {},
  });
  links[0]!.says(welcome);
  return { clock, links, client };
}

/** What a callback was told. */
type Told = string | number;
const into =
  (told: Told[]) =>
  (error: CloudError | null, value: number | Uint8Array): void => {
    told.push(error ? error.code : typeof value === "number" ? value : value.length);
  };

describe("the tokenizer of the target", () => {
  it("is asked for again over the next link", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.requestTokenizer(into(told));
    links[0]!.breaks();
    clock.runTo(1000);
    links[1]!.says(welcome);
    expect(links[1]!.count("tokenizerRequest")).toBe(1);
    expect(told).toEqual([]);
    links[1]!.says({ type: "tokenizer", file: Uint8Array.of(1, 2, 3) });
    expect(told).toEqual([3]);
  });

  it("is asked for once where the link holds, and the cloud is not pinged any more when it has come", () => {
    const { clock, links, client } = connected();
    client.requestTokenizer(into([]));
    expect(() => client.requestTokenizer(() => {})).toThrow(
      expect.objectContaining({ code: "already_asked" }),
    );
    links[0]!.says({ type: "tokenizer", file: Uint8Array.of(1) });
    const pings = links[0]!.count("ping");
    clock.runTo(60_000);
    expect(links[0]!.count("tokenizerRequest")).toBe(1);
    expect(links[0]!.count("ping")).toBe(pings);
    client.requestTokenizer(() => {});
  });

  it("is not waited for behind a cloud that has fallen silent", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.requestTokenizer(into(told));
    clock.runTo(30_000);
    expect(links.length).toBeGreaterThan(1); // silence was noticed, and another link tried
    clock.runTo(200_000);
    expect(told).toEqual(["unreachable"]);
    client.requestTokenizer(into(told));
    expect(told).toEqual(["unreachable", "unreachable"]);
  });
});

describe("pings", () => {
  it("tell their own round trips, also those of one moment", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.ping(0, false, into(told));
    client.ping(0, false, into(told));
    client.ping(5, false, into(told));
    client.ping(7, true, into(told));
    clock.runTo(10);
    for (const frame of links[0]!.sent) {
      if (frame.type === "ping") links[0]!.says(pongFor({ ...frame, type: "ping" }));
      clock.runTo(clock.nowMs() + 1);
    }
    expect(told).toEqual([11, 12, 13, 14]); // the hello was the first frame
  });

  it("end with an error where the link breaks or there is none, and are never more than 64", () => {
    const { links, client } = connected();
    const told: Told[] = [];
    for (let i = 0; i < 65; i++) client.ping(0, false, into(told));
    expect(told).toEqual(["too_many_pings"]);
    links[0]!.breaks();
    expect(told.slice(1)).toEqual(Array(64).fill("connection_lost"));
    client.ping(0, false, into(told));
    expect(told).toHaveLength(66);
    expect(told[65]).toBe("connection_lost");
  });
});
