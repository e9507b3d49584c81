import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

/** A certificate authority of the test's own, and certificates that it signs. */

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface TestAuthority {
  /** path of its certificate, PEM */
  readonly ca: string;
  /** A certificate for 127.0.0.1 and localhost; paths of PEM files. @param days from now until it ends; negative: it has expired */
  certificate(name: string, days: number): Promise<{ readonly cert: string; readonly key: string }>;
}

export async function testAuthority(folder: string): Promise<TestAuthority> {
  x509.cryptoProvider.set(webcrypto as never);
  const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const keys = await newKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=test authority",
    notBefore: new Date(Date.now() - 30 * DAY_MS),
    notAfter: new Date(Date.now() + 30 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys: keys as never,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  });
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, root.toString("pem"));
  let serial = 2;
  return {
    ca,
    async certificate(name, days) {
      const own = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: `0${serial++}`,
        issuer: root.subject,
        subject: "CN=localhost",
        notBefore: new Date(Date.now() - 20 * DAY_MS),
        notAfter: new Date(Date.now() + days * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey as never,
        signingKey: keys.privateKey as never,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: "dns", value: "localhost" },
            { type: "ip", value: "127.0.0.1" },
          ]),
        ],
      });
      const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
      writeFileSync(cert, certificate.toString("pem"));
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", own.privateKey));
      const base64 = pkcs8.toString("base64").replace(/.{64}/g, "$&\n");
      writeFileSync(key, `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`);
      return { cert, key };
    },
  };
}
