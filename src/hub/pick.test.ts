import { describe, expect, it } from "vitest";
import { HubError } from "./errors.ts";
import { bytesText, partsOf, pickFiles, quantisationOf } from "./pick.ts";

const files = (...paths: string[]) => paths.map((path) => ({ path, sizeBytes: 1000, sha256: null }));
const pick = (wish: string | null, ...paths: string[]) =>
  pickFiles({ repository: "o/r", wish }, files(...paths)).map(({ path }) => path);

describe("the quantisation in a file's name", () => {
  it.each([
    ["qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"],
    ["model.Q8_0.gguf", "Q8_0"],
    ["Meta-Llama-3-8B-Instruct-IQ3_XXS.gguf", "IQ3_XXS"],
    ["model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"],
    ["model_Q5_K_S_v2.gguf", "Q5_K_S"],
    ["model-Q4_0_4_8.gguf", "Q4_0_4_8"],
    ["model-fp16.gguf", "F16"],
    ["model-BF16-00001-of-00002.gguf", "BF16"],
    ["Q6_K/model-00002-of-00002.gguf", "Q6_K"],
    ["gpt-oss-mxfp4.gguf", "MXFP4"],
    ["model.gguf", null],
    ["Qwen3-0.6B.gguf", null],
  ])("%s: %s", (path, quantisation) => expect(quantisationOf(path)).toBe(quantisation));
});

describe("the file that a name means", () => {
  const usual = ["m-Q2_K.gguf", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "README.md"];

  it("is the quantisation that is asked for, in any case", () => {
    expect(pick("q2_k", ...usual)).toEqual(["m-Q2_K.gguf"]);
    expect(pick("Q8_0", ...usual)).toEqual(["m-Q8_0.gguf"]);
  });

  it("is Q4_K_M without a wish, else Q8_0, else the only one", () => {
    expect(pick(null, ...usual)).toEqual(["m-Q4_K_M.gguf"]);
    expect(pick(null, "m-Q2_K.gguf", "m-q8_0.gguf")).toEqual(["m-q8_0.gguf"]);
    expect(pick(null, "m-Q2_K.gguf", "m-UD-Q4_K_M.gguf")).toEqual(["m-UD-Q4_K_M.gguf"]);
    expect(pick(null, "weights.gguf", "mmproj-m-f16.gguf", "m.imatrix.gguf")).toEqual(["weights.gguf"]);
  });

  it("is a file by its path or its name", () => {
    expect(pick("m-Q2_K.gguf", ...usual)).toEqual(["m-Q2_K.gguf"]);
    expect(pick("M-q2_k.GGUF", ...usual)).toEqual(["m-Q2_K.gguf"]);
    expect(pick("b/m.gguf", "a/m.gguf", "b/m.gguf")).toEqual(["b/m.gguf"]);
  });

  it("prefers what is named exactly so to a variant", () => {
    expect(pick("q4_k_m", "m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf")).toEqual(["m-Q4_K_M.gguf"]);
    expect(pick("ud-q4_k_m", "m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf")).toEqual(["m-UD-Q4_K_M.gguf"]);
    expect(pick("q4_k_xl", "m-UD-Q4_K_XL.gguf")).toEqual(["m-UD-Q4_K_XL.gguf"]);
  });

  it("is all parts of a split one in order, whichever is named", () => {
    const parts = [1, 2, 3].map((part) => `m-Q4_K_M-0000${part}-of-00003.gguf`);
    const shuffled = [parts[2]!, parts[0]!, parts[1]!];
    for (const wish of [null, "q4_k_m", ...parts]) expect(pick(wish, ...shuffled)).toEqual(parts);
    expect(() => pick("q4_k_m", ...parts.slice(1))).toThrow(/holds no model/);
  });

  it.each([
    ["q5_k_m", usual, "no_file", /has no q5_k_m; it has m-Q2_K\.gguf \(1\.0 KB\), m-Q8_0\.gguf/],
    ["x.gguf", usual, "no_file", /there is no x\.gguf in o\/r; it has m-Q2_K/],
    ["mmproj-f16.gguf", [...usual, "mmproj-f16.gguf"], "no_file", /projector for images/],
    [null, ["README.md"], "no_file", /holds no model in GGUF format/],
    [null, ["a-Q2_K.gguf", "a-Q3_K_M.gguf"], "ambiguous_file", /such as hf:o\/r:a-Q2_K\.gguf: a-Q2_K.*a-Q3/],
    ["q4_0", ["a-q4_0.gguf", "b-q4_0.gguf"], "ambiguous_file", /hf:o\/r:q4_0 may be several files/],
    ["m.gguf", ["a/m.gguf", "b/m.gguf"], "ambiguous_file", /a\/m\.gguf.*b\/m\.gguf/],
  ] as const)("%s of %j is an error that says what there is", (wish, paths, code, message) => {
    expect(() => pick(wish, ...paths)).toThrow(message);
    expect(() => pick(wish, ...paths)).toThrow(expect.objectContaining({ code }));
    expect(() => pick(wish, ...paths)).toThrow(HubError);
  });

  it("lists twenty files at most", () => {
    const many = Array.from({ length: 50 }, (_, i) => `m${i}-Q2_K.gguf`);
    expect(() => pick(null, ...many)).toThrow(/m19-Q2_K\.gguf \(1\.0 KB\) and 30 more$/);
  });
});

it("parts of a file that was not split are the file", () => {
  expect(partsOf("m.gguf")).toEqual(["m.gguf"]);
  expect(partsOf("m-00002-of-00002.gguf")).toEqual(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
});

it("sizes are told in decimal units", () => {
  expect([0, 999, 1000, 1_234_567, 4.7e9, 3e15].map(bytesText)).toEqual([
    ...["0 bytes", "999 bytes", "1.0 KB", "1.2 MB", "4.7 GB", "3000.0 TB"],
  ]);
});
