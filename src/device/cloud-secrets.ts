import type { CloudServer } from "../cloud/server.ts";
import { type KeyRecord, parseKeys } from "../cloud/trust/keys.ts";
import type { Certificate } from "../transport/node/socket.ts";
import { WatchedFiles } from "./watched-file.ts";

/** A cloud's keys and certificate, from files that are read again when they change. */
export class CloudSecrets {
  private readonly keys: WatchedFiles<KeyRecord[]> | null;
  private readonly tls: WatchedFiles<Certificate> | null;

  /**
   * @param keys file of keys; null: none
   * @param tls files of a certificate chain and its key, PEM; null: none
   * @throws KeyFileError `bad_key_file`; PicoSpecError `bad_file`
   */
  constructor(keys: string | null, tls: { readonly cert: string; readonly key: string } | null) {
    this.keys = keys === null ? null : new WatchedFiles([keys], ([text]) => parseKeys(text!));
    this.tls =
      tls === null
        ? null
        : new WatchedFiles([tls.cert, tls.key], ([cert, key]) => ({ cert: cert!, key: key! }));
  }

  /** What a server begins with. */
  get first(): { readonly keys: readonly KeyRecord[] | null; readonly certificate?: Certificate } {
    return {
      keys: this.keys?.first ?? null,
      ...(this.tls ? { certificate: this.tls.first } : {}),
    };
  }

  watch(server: CloudServer, notice: (line: string) => void): void {
    this.keys?.watch((records) => {
      server.useKeys(records);
      notice(`the keys have changed: ${records.length} are known now`);
    }, notice);
    this.tls?.watch((certificate) => {
      server.useCertificate(certificate);
      notice("the certificate has changed: new connections get the new one");
    }, notice);
  }

  close(): void {
    this.keys?.close();
    this.tls?.close();
  }
}
