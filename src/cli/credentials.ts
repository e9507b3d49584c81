import { type Command, Option } from "commander";
import type { ConnectSettings } from "../transport/node/connect.ts";
import { readText } from "./files.ts";

/** What a cloud asks of an edge, and who vouches for the cloud, as options of each command that connects. */

export interface CredentialValues {
  readonly cloudKey?: string;
  readonly cloudCa?: string;
}

export function addCredentialOptions(command: Command): Command {
  return command
    .addOption(new Option("--cloud-key <key>", "the cloud's key for this edge").env("PICOSPEC_CLOUD_KEY"))
    .addOption(
      new Option("--cloud-ca <file>", "certificates of an authority that vouches for the cloud, PEM").env(
        "PICOSPEC_CLOUD_CA",
      ),
    );
}

/**
 * @param clouds URLs that the key goes to: it is told where others on the way can read it
 * @throws PicoSpecError `bad_file` for certificates that cannot be read
 */
export function credentialsOf(
  { cloudKey, cloudCa }: CredentialValues,
  clouds: readonly string[],
): ConnectSettings {
  const open = clouds.find(isOpenWire);
  if (cloudKey !== undefined && open !== undefined) {
    console.error(`warning: ${open} is not encrypted, others on the way can read the key; take wss://`);
  }
  return {
    ...(cloudKey === undefined ? {} : { key: cloudKey }),
    ...(cloudCa === undefined ? {} : { ca: readText(cloudCa, "a PEM file") }),
  };
}

/** What is sent there can be read by others. */
function isOpenWire(url: string): boolean {
  return /^ws:\/\//i.test(url) && !/^ws:\/\/(?:localhost|127\.|\[::1\])/i.test(url);
}
