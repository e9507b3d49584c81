import { EngineError } from "../engine.ts";

/** Bytes of one event: a chunk has a few tokens, and 20 log-probabilities with each. */
const MOST_EVENT_BYTES = 4 * 2 ** 20;

const NEWLINE = 0x0a;
const PREFIX = "data:";

/** The data of server-sent events, out of the bytes of a response. Other fields than `data` are nothing to us. */
export class EventReader {
  private parts: Uint8Array[] = [];
  private size = 0;

  /**
   * @returns data of the lines that are whole now, in order
   * @throws EngineError `engine_away` for a line that does not end
   */
  push(bytes: Uint8Array): string[] {
    const data: string[] = [];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      const line = this.take(bytes.subarray(from, at));
      if (line.startsWith(PREFIX)) data.push(line.slice(PREFIX.length).trim());
      from = at + 1;
    }
    if (from < bytes.length) this.keep(bytes.slice(from));
    return data;
  }

  private keep(part: Uint8Array): void {
    this.size += part.length;
    if (this.size > MOST_EVENT_BYTES) {
      throw new EngineError("engine_away", `the server sent a line of more than ${MOST_EVENT_BYTES} bytes`);
    }
    this.parts.push(part);
  }

  private take(last: Uint8Array): string {
    this.keep(last);
    const line = Buffer.concat(this.parts).toString("utf8");
    this.parts = [];
    this.size = 0;
    return line;
  }
}
