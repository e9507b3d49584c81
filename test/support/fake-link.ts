import { type Frame, PROTOCOL_VERSION, type WelcomeFrame } from "../../src/protocol/frame.ts";
import type { FrameHandlers, FrameLink } from "../../src/protocol/link.ts";
import type { CancelTimer, Clock } from "../../src/util/clock.ts";
import { TimerQueue } from "../../src/util/timer-queue.ts";
import { TARGET } from "./target.ts";

/** An edge's end of a link without a network, and time that passes when a test says so. */

export class FakeClock implements Clock {
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

export class FakeLink implements FrameLink {
  readonly sent: Frame[] = [];
  private handlers!: FrameHandlers;

  start(handlers: FrameHandlers): void {
    this.handlers = handlers;
  }

  send(frame: Frame): number {
    this.sent.push(frame);
    return 8;
  }

  closed = false;

  close(): void {
    this.closed = true;
  }

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

export const welcome: WelcomeFrame = {
  type: "welcome",
  protocol: PROTOCOL_VERSION,
  server: "s",
  target: TARGET,
};
