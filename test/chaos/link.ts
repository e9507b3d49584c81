import { connect, createServer, type Server, type Socket } from "node:net";
import { draws } from "../support/world.ts";

/** A link that drops, stalls and resets, emulated: a TCP proxy on the loopback whose faults are drawn from a seed. */

export type FaultKind = "drop" | "stall" | "reset";

export interface ChaoticLink {
  readonly port: number;
  /** what has happened so far */
  readonly faults: Readonly<Record<FaultKind, number>>;
  close(): void;
}

/** Time between two faults of a connection, and how long one stalls, ms: uniform in [0, most). */
export interface ChaosTimes {
  readonly mostBetweenMs: number;
  readonly mostStallMs: number;
}

const KINDS: readonly FaultKind[] = ["drop", "stall", "reset"];

/** @param port of the cloud */
export function chaoticLink(port: number, seed: number, times: ChaosTimes): Promise<ChaoticLink> {
  const random = draws(seed);
  const faults: Record<FaultKind, number> = { drop: 0, stall: 0, reset: 0 };
  const open = new Set<() => void>();
  const server: Server = createServer((near: Socket) => {
    const far = connect({ port, host: "127.0.0.1" });
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      near.destroy();
      far.destroy();
      open.delete(end);
    };
    open.add(end);
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.pipe(far);
    far.pipe(near);
    const strike = () => {
      const kind = KINDS[Math.floor(random() * KINDS.length)]!;
      faults[kind]++;
      if (kind === "drop") end();
      else if (kind === "reset") {
        near.resetAndDestroy();
        end();
      } else {
        for (const socket of [near, far]) socket.unpipe().pause();
        timer = setTimeout(() => {
          near.pipe(far);
          far.pipe(near);
          later();
        }, random() * times.mostStallMs);
      }
    };
    const later = () => {
      timer = setTimeout(strike, random() * times.mostBetweenMs);
    };
    later();
  });
  return new Promise((ready) => {
    server.listen(0, "127.0.0.1", () => {
      ready({
        port: (server.address() as { port: number }).port,
        faults,
        close() {
          server.close();
          for (const end of [...open]) end();
        },
      });
    });
  });
}
