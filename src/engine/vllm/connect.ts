import type { Clock } from "../../util/clock.ts";
import { EngineError } from "../engine.ts";
import { HttpServer } from "./http.ts";
import { Mailbox, mailboxAddress } from "./mailbox.ts";
import { probe } from "./probe.ts";
import { Upstream } from "./upstream.ts";

/** From what an operator says to servers that answer. */

export interface ConnectServersOptions {
  /** of vLLM's HTTP API, one or more of one model */
  readonly urls: readonly string[];
  /**
   * addresses of mailboxes, the first for the first URL and so on; of one server with several engine processes, all of
   * theirs, separated by commas; empty: that server takes no drafts
   */
  readonly mailboxes: readonly string[];
  /** that the plugins were started with */
  readonly mailboxSecret: string | null;
  /** null: the servers want none */
  readonly apiKey: string | null;
  /** as the servers name it; null: the only one, or the first */
  readonly model: string | null;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** a line for the operator */
  readonly told: (line: string) => void;
}

/**
 * Asks every server what it is, and connects to the mailboxes; the caller closes what comes of it.
 * @throws EngineError, SettingError: a server that is not there when a gateway starts is told, and not waited for
 */
export async function connectServers(options: ConnectServersOptions): Promise<Upstream[]> {
  const { urls, mailboxes, apiKey, model, clock, told } = options;
  if (mailboxes.length > urls.length) {
    const message = `there are ${mailboxes.length} --mailbox for ${urls.length} --url; those of one server go into one, with commas`;
    throw new EngineError("mailbox", message);
  }
  const addresses = urls.map((_, i) => (mailboxes[i] ?? "").split(",").filter((text) => text.trim() !== ""));
  const parsed = addresses.map((texts) => texts.map((text) => mailboxAddress(text.trim())));
  if (parsed.flat().length > 0 && options.mailboxSecret === null) {
    const message =
      "a mailbox wants its secret: give the file that the plugin has, with --mailbox-secret-file";
    throw new EngineError("mailbox", message);
  }
  const secret = options.mailboxSecret ?? "";
  const servers = urls.map((url) => new HttpServer({ url, apiKey, clock }));
  try {
    const facts = await Promise.all(servers.map((http) => probe(http, model)));
    const upstreams = servers.map((http, i) => {
      const boxes = parsed[i]!.map((address) => new Mailbox({ ...options, address, secret, told }));
      return new Upstream(http, facts[i]!, boxes, told);
    });
    await Promise.all(upstreams.flatMap(({ mailboxes: boxes }) => boxes.map((box) => box.tried())));
    return upstreams;
  } catch (error) {
    for (const http of servers) http.close();
    throw error;
  }
}
