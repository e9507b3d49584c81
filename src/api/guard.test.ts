import { describe, expect, it } from "vitest";
import { HttpError } from "./errors.ts";
import {
  admit,
  checkKey,
  type GivenKey,
  type GuardedHeaders,
  type GuardOptions,
  originPattern,
} from "./guard.ts";

const open: GuardOptions = { hosts: [], origins: [], apiKey: null };
const verdict = (
  { authorization, apiKey, ...headers }: GuardedHeaders & GivenKey,
  options: Partial<GuardOptions> = {},
) => {
  try {
    admit(headers, { ...open, ...options });
    checkKey({ authorization, apiKey }, { ...open, ...options });
    return "in";
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return `${error.status} ${error.code}`;
  }
};

describe("who may ask", () => {
  it.each([
    "localhost",
    "localhost:8080",
    "127.0.0.1:1",
    "127.1.2.3",
    "[::1]:8080",
    "LOCALHOST",
  ])("comes by a name of this device: %s", (host) => {
    expect(verdict({ host })).toBe("in");
  });

  it.each([
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    undefined,
    "128.0.0.1",
  ])("does not come by another name, to which DNS may have been rebound: %s", (host) => {
    expect(verdict({ host })).toBe("403 host_not_allowed");
  });

  it("may come by a name that was allowed, with any port", () => {
    expect(verdict({ host: "box.lan:8080" }, { hosts: ["box.lan"] })).toBe("in");
    expect(verdict({ host: "box.lan.evil:8080" }, { hosts: ["box.lan"] })).toBe("403 host_not_allowed");
  });

  it("comes by an address of this machine as it is now, where it listens on all of them", () => {
    let now = ["192.0.2.7", "2001:db8::7"];
    const addresses = () => now;
    for (const host of ["192.0.2.7:8080", "[2001:db8::7]:8080", "[2001:DB8::7]"]) {
      expect(verdict({ host }, { addresses })).toBe("in");
      expect(verdict({ host })).toBe("403 host_not_allowed");
    }
    expect(verdict({ host: "192.0.2.8" }, { addresses })).toBe("403 host_not_allowed");
    now = ["192.0.2.8", "evil.example"];
    expect(verdict({ host: "192.0.2.8" }, { addresses })).toBe("in");
    expect(verdict({ host: "192.0.2.7" }, { addresses })).toBe("403 host_not_allowed");
    // A name is none of the addresses, whatever it leads to.
    for (const host of ["evil.example", "192.0.2.8.evil.example"]) {
      expect(verdict({ host }, { addresses })).toBe("403 host_not_allowed");
    }
  });

  it.each([
    ["https://*.example.com", ["https://a.example.com", "https://a.b.example.com", "https://A.EXAMPLE.com"]],
    ["http://localhost:*", ["http://localhost", "http://localhost:1", "http://localhost:65535"]],
    ["https://*.example.com:*", ["https://a.example.com:8443", "https://a.example.com"]],
    ["app://page", ["app://page"]],
    ["null", ["null"]],
  ])("may be a page of a pattern: %s", (pattern, allowed) => {
    const host = "localhost";
    for (const origin of allowed) expect(verdict({ host, origin }, { origins: [pattern] })).toBe("in");
    for (const origin of [
      ...[
        "https://example.com",
        "http://a.example.com",
        "https://a.example.com.evil",
        "https://evilexample.com",
      ],
      ...[
        "https://a.example.com:1/",
        "https://evil/.example.com",
        "https://x@a.example.comm",
        "https://aXexample.com",
      ],
      ...[
        "https://localhost:1",
        "http://localhost:1.evil",
        "http://localhost.evil:1",
        "http://localhost:",
        "nul",
      ],
      ...["app://page2", "app://page:1"],
    ]) {
      expect(verdict({ host, origin }, { origins: [pattern] }), origin).toBe("403 origin_not_allowed");
    }
  });

  it.each([
    "https://ex*mple.com",
    "*.example.com",
    "https://*",
    "https://a.*.com",
    "localhost:*",
    "**",
  ])("is no page of what is no pattern: %s", (text) => {
    expect(originPattern(text)).toBe(null);
    expect(verdict({ host: "localhost", origin: "https://example.com" }, { origins: [text] })).toBe(
      "403 origin_not_allowed",
    );
  });

  it("is no web page, unless its origin was allowed", () => {
    const host = "localhost:8080";
    expect(verdict({ host, origin: "https://evil.example" })).toBe("403 origin_not_allowed");
    expect(verdict({ host, origin: "http://localhost:3000" })).toBe("403 origin_not_allowed");
    expect(verdict({ host, origin: "null" })).toBe("403 origin_not_allowed");
    expect(verdict({ host, origin: "http://localhost:3000" }, { origins: ["http://localhost:3000"] })).toBe(
      "in",
    );
    expect(verdict({ host, origin: "http://localhost:3001" }, { origins: ["http://localhost:3000"] })).toBe(
      "403 origin_not_allowed",
    );
    expect(verdict({ host, origin: "https://any.example" }, { origins: ["*"] })).toBe("in");
    // Whatever origins may do, the name has to be right.
    expect(verdict({ host: "evil.example", origin: "x" }, { origins: ["*"] })).toBe("403 host_not_allowed");
  });

  it("brings the key where there is one", () => {
    const host = "localhost";
    const apiKey = "secret";
    expect(verdict({ host, authorization: "Bearer secret" }, { apiKey })).toBe("in");
    expect(verdict({ host, apiKey: "secret" }, { apiKey })).toBe("in");
    expect(verdict({ host, apiKey: "secre" }, { apiKey })).toBe("401 invalid_api_key");
    expect(verdict({ host, apiKey: "" }, { apiKey })).toBe("401 invalid_api_key");
    for (const authorization of [
      undefined,
      "Bearer secre",
      "Bearer secrets",
      "secret",
      "Basic secret",
      "Bearer ",
    ]) {
      expect(verdict({ host, authorization }, { apiKey })).toBe("401 invalid_api_key");
    }
  });
});
