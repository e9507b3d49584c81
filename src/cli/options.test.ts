import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { samplingOf } from "../api/openai/sampling.ts";
import { parseChat } from "../api/openai/schema/chat.ts";
import { POLICIES } from "../decoding/policy.ts";
import { decode } from "../protocol/decode.ts";
import { encode } from "../protocol/encode.ts";
import { SAMPLER_ROWS, type SamplerSettings, samplerRows, samplerSettings } from "../sampling/settings.ts";
import { messageOf } from "../util/errors.ts";
import { allowedText, inRange, type NumberRange, rangeText } from "../util/setting.ts";
import { addHardwareOption, addSamplerOptions, samplerFrom } from "./options.ts";

/** Every row of the sampler's table, by the three ways that it can be given. */

function command(): Command {
  const quiet = { writeErr: () => {}, writeOut: () => {} };
  return addSamplerOptions(new Command("x"), 0.7).exitOverride().configureOutput(quiet);
}

const byCli = (...args: string[]) => samplerFrom(command().parse(args, { from: "user" }).opts());

const messages = [{ role: "user", content: "Hi" }];
const byHttp = (field: string, value: unknown) =>
  samplerSettings(samplingOf(parseChat({ messages, [field]: value }), undefined).sampler);

/** Over the wire, as a peer sends it that has not checked anything. */
function byWire(given: object): SamplerSettings {
  const settings = { policy: POLICIES.cloud, seed: { low: 1, high: 0 }, maxTokens: 1 };
  const sampler = { ...samplerSettings(), ...given };
  const frame = { type: "open", session: 1, tokens: Int32Array.of(1), secret: null, resume: null } as const;
  const heard = decode(encode({ ...frame, settings: { ...settings, sampler } }));
  if (heard.type !== "open") throw new Error(heard.type);
  return heard.settings.sampler;
}

/** Values in a range and just out of it, its ends first. */
function inside({ least, most, aboveLeast, whole, also }: NumberRange): number[] {
  const low = aboveLeast ? most / 1000 : least;
  return [low, most, whole ? least + 1 : (least + most) / 2, ...(also === undefined ? [] : [also])];
}

function outside({ least, most, aboveLeast, whole, also }: NumberRange): number[] {
  const step = whole ? 1 : 1e-6;
  const low = aboveLeast ? [least, least - step] : [least - step];
  const values = [...low, most + step, ...(whole ? [least + 0.5] : [])];
  return values.filter((value) => value !== also);
}

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return messageOf(error);
  }
  return "nothing was refused";
}

describe.each(samplerRows)("the setting %s", (name, row) => {
  const given = (value: number) => (row.kind === "pairs" ? [[5, value]] : value);
  const flag = row.flag!.split(" ")[0]!;
  const argument = (value: number) => (row.kind === "pairs" ? `5:${value.toFixed(7)}` : String(value));

  it("has its default by all ways where it is not given", () => {
    expect(samplerSettings()[name]).toEqual(row.default);
    expect(byWire({})[name]).toEqual(row.default);
    if (name !== "temperature") expect(byCli()[name]).toEqual(row.default);
  });

  it("can be given to the library, on the command line, and over the wire", () => {
    for (const value of inside(row.range)) {
      expect(samplerSettings({ [name]: given(value) })[name]).toEqual(given(value));
      expect(byCli(`${flag}=${argument(value)}`)[name]).toEqual(given(value));
      expect(byWire({ [name]: given(value) })[name]).toEqual(given(value));
    }
  });

  it("is refused beyond its range by each, in the same words", () => {
    for (const value of outside(row.range)) {
      const message = `${name} must be ${allowedText(row)}`;
      expect(failure(() => samplerSettings({ [name]: given(value) }))).toContain(message);
      expect(failure(() => byCli(`${flag}=${argument(value)}`))).toContain(message);
      expect(failure(() => byWire({ [name]: given(value) }))).toContain(message);
    }
  });
});

const fields = samplerRows.flatMap(([name, row]) =>
  row.field === undefined ? [] : [{ name, row, field: row.field }],
);

describe.each(fields)("the field $field of a request", ({ name, row, field }) => {
  const range = row.fieldRange ?? row.range;
  const body = (value: number) => (row.kind === "pairs" ? { 5: value } : value);
  /** what a value stands for, where it is one of other servers */
  const meant = (value: number) => {
    const means = row.kind === "number" ? row.fieldMeans : undefined;
    return means?.find(([given]) => given === value)?.[1] ?? value;
  };

  it("can be given within OpenAI's range, and null is the default", () => {
    for (const value of inside(range)) {
      expect(byHttp(field, body(value))[name]).toEqual(row.kind === "pairs" ? [[5, value]] : meant(value));
    }
    expect(byHttp(field, null)[name]).toEqual(row.default);
  });

  it("is refused beyond it, in the words of the setting", () => {
    const place = row.kind === "pairs" ? `${field}.5` : field;
    for (const value of outside(range)) {
      expect(failure(() => byHttp(field, body(value)))).toContain(
        `${place}: must be ${rangeText(range)}, not`,
      );
    }
  });

  it("has no wider range than the setting has anywhere else", () => {
    for (const value of inside(range)) expect(inRange(meant(value), row.range)).toBe(true);
  });
});

describe("the sampler's options", () => {
  it("are one a row, each with the attribute that the row is called by", () => {
    const attributes = command().options.map((option) => option.attributeName());
    expect(attributes).toEqual(Object.keys(SAMPLER_ROWS));
  });

  it("keep the help within 80 columns and say what the defaults do", () => {
    const help = command().configureHelp({ helpWidth: 80 }).helpInformation();
    expect(help.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(help).toMatch(/--top-k <k> +keep the k likeliest tokens; 0: all/);
    expect(help).toMatch(/--penalty-last-n <n> +how many tokens back the penalties look \(default:\s+64\)/);
    expect(help).toMatch(/--temperature <t> +0: greedy; 1: the model's own distribution \(default:\s+0\.7\)/);
  });

  it("take several biases", () => {
    expect(byCli("--logit-bias", "3:-2.5", "--logit-bias", "4:1").logitBias).toEqual([
      [3, -2.5],
      [4, 1],
    ]);
    expect(failure(() => byCli("--logit-bias", "3"))).toContain("such as 42:-3.5");
    expect(failure(() => byCli("--top-k", ""))).toContain("a number is missing");
    expect(failure(() => byCli("--top-k", "many"))).toContain("not NaN");
  });
});

describe("a setting that release 0.1 does not know", () => {
  const later = samplerRows.filter(([, row]) => row.since !== undefined);
  const openJson = (given: object) => {
    const settings = { policy: POLICIES.cloud, seed: { low: 1, high: 0 }, maxTokens: 1 };
    const sampler = samplerSettings(given);
    const open = { type: "open", session: 1, tokens: Int32Array.of(1), secret: null, resume: null } as const;
    return new TextDecoder().decode(encode({ ...open, settings: { ...settings, sampler } }));
  };

  it("travels only where it is in use: without it the bytes are those of release 0.1", () => {
    const first = samplerRows.filter(([, row]) => row.since === undefined);
    const sampler = JSON.stringify(Object.fromEntries(first.map(([name, row]) => [name, row.default])));
    expect(later.length).toBeGreaterThan(0);
    expect(openJson({})).toContain(`"sampler":${sampler},`);
    expect(openJson({ topNSigma: 1.5 })).toContain(`"topNSigma":1.5`);
  });
});

describe("an unknown field", () => {
  it("of a request is ignored, as OpenAI's servers do", () => {
    expect(byHttp("topk", 3)).toEqual(samplerSettings());
  });

  it("of a sampler from a later peer is refused: it would change the text", () => {
    expect(() => byWire({ warmth: 3 })).toThrow('does not know the sampler setting "warmth"');
  });
});

describe("an option with a former name", () => {
  function hardware(...args: string[]): string | undefined {
    let name: string | undefined;
    addHardwareOption(new Command("x"), "standard")
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .action((values) => {
        name = values.hardware?.name ?? "off";
      })
      .parse(args, { from: "user" });
    return name;
  }

  it("has its default where neither flag is given", () => {
    expect(hardware()).toBe("standard");
  });

  it.each(["--hardware", "--pace"])("takes values by %s, and refuses wrong ones", (flag) => {
    expect(hardware(flag, "paper-qwen")).toBe("paper-qwen");
    expect(hardware(`${flag}=off`)).toBe("off");
    const message = failure(() => hardware(flag, "warp"));
    expect(message).toMatch(new RegExp(`${flag} .*unknown hardware profile "warp"; there are standard`));
  });

  it("refuses both flags at once, also where both say the same", () => {
    const message = failure(() => hardware("--hardware", "standard", "--pace", "standard"));
    expect(message).toMatch(/'--pace <name>' cannot be used with option '--hardware <name>'/);
  });

  it("shows only its present name in help", () => {
    const help = addHardwareOption(new Command("x"), "off").helpInformation();
    expect(help).toContain("--hardware <name>");
    expect(help).not.toContain("--pace");
  });
});
