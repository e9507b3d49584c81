import { describe, expect, it } from "vitest";
import { filesIn, nextPage } from "./listing.ts";
import { sha256In } from "./request.ts";
import { retryAfterMs, statusError } from "./status.ts";

const OID = "ab".repeat(32);

describe("a listing", () => {
  it("is read with sizes and hashes of what is large", () => {
    const text = JSON.stringify([
      { type: "directory", path: "x.gguf", oid: "1", size: 0 },
      { type: "file", path: "a.gguf", oid: "1", size: 130, lfs: { oid: OID, size: 5000, pointerSize: 130 } },
      { type: "file", path: "b/c.GGUF", oid: "1", size: 7 },
      { type: "file", path: "../README.md", oid: "1", size: 7 },
    ]);
    expect(filesIn(text, "o/r")).toEqual([
      { path: "a.gguf", sizeBytes: 5000, sha256: OID },
      { path: "b/c.GGUF", sizeBytes: 7, sha256: null },
    ]);
  });

  it.each([
    "",
    "<html>",
    "{}",
    '[{"type":"file"}]',
    '[{"type":"file","path":"a.gguf","size":-1}]',
  ])("%j is none", (text) => expect(() => filesIn(text, "o/r")).toThrow(/no listing of o\/r/));

  it.each(["../a.gguf", "/a.gguf", "a\\..\\b.gguf", "x/../../a.gguf"])("with %j is refused", (path) => {
    expect(() => filesIn(JSON.stringify([{ type: "file", path, size: 1 }]), "o/r")).toThrow(
      /no path of a model/,
    );
  });

  it("goes on where the Link header says", () => {
    const base = "https://h.example/api?x=1";
    expect(nextPage(null, base)).toBeNull();
    expect(nextPage('<https://h.example/2>; rel="prev"', base)).toBeNull();
    expect(nextPage('</api?cursor=2>; rel="next"', base)).toBe("https://h.example/api?cursor=2");
    expect(nextPage('<https://h.example/1>; rel="prev", <https://h.example/3>; rel="next"', base)).toBe(
      "https://h.example/3",
    );
  });
});

describe("a refusal", () => {
  const error = (status: number, headers: Record<string, string> = {}, hasToken = false) =>
    statusError(
      { status, headers: new Headers(headers) },
      { repository: "o/r", endpoint: "https://h.example", hasToken },
    );

  it.each([
    [401, {}, false, "no_repository", /no public repository o\/r .* or set HF_TOKEN if it is private/],
    [404, { "x-error-code": "RepoNotFound" }, true, "no_repository", /that HF_TOKEN may read/],
    [
      401,
      { "x-error-code": "GatedRepo" },
      false,
      "gated",
      /accept its terms at https:\/\/h\.example\/o\/r, and set/,
    ],
    [403, { "x-error-code": "GatedRepo" }, true, "gated", /the account of HF_TOKEN has no access/],
    [403, {}, true, "forbidden", /give HF_TOKEN a token that may read it/],
    [404, { "x-error-code": "EntryNotFound" }, false, "no_file", /does not have that file any more/],
    [404, { "x-error-code": "RevisionNotFound" }, false, "no_file", /no branch main/],
    [418, {}, false, "hub_failed", /answers 418/],
  ] as const)("%s %j (token: %s) is %s, and final", (status, headers, hasToken, code, message) => {
    expect(error(status, headers, hasToken)).toMatchObject({ code, retry: null });
    expect(error(status, headers, hasToken).message).toMatch(message);
  });

  it("may be passing", () => {
    expect(error(503)).toMatchObject({ code: "hub_failed", retry: { afterMs: null } });
    expect(error(429, { "retry-after": "7" })).toMatchObject({
      code: "rate_limited",
      retry: { afterMs: 7000 },
    });
    expect(error(429, { "retry-after": "7" }).message).toMatch(/try again in 7 s; with HF_TOKEN set/);
  });

  it("says how long in one of three ways", () => {
    const wait = (headers: Record<string, string>) => retryAfterMs(new Headers(headers));
    const date = "Wed, 21 Oct 2015 07:28:00 GMT";
    expect(wait({ "retry-after": "120" })).toBe(120_000);
    expect(wait({ "retry-after": "Wed, 21 Oct 2015 07:28:09 GMT", date })).toBe(9000);
    expect(wait({ "retry-after": date, date: "Wed, 21 Oct 2015 07:29:00 GMT" })).toBe(0);
    expect(wait({ ratelimit: '"api";r=0;t=55' })).toBe(55_000);
    expect([wait({}), wait({ "retry-after": "soon" }), wait({ "retry-after": date })]).toEqual([
      null,
      null,
      null,
    ]);
  });
});

it("an ETag may be a sha256", () => {
  expect([`"${OID}"`, OID.toUpperCase(), `W/"${OID}"`].map(sha256In)).toEqual([OID, OID, OID]);
  expect([null, "", '"abc"', `"${OID}0"`].map(sha256In)).toEqual([null, null, null, null]);
});
