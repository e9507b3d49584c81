import { describe, expect, it } from "vitest";
import { halvesOfCpus, keepToCpus } from "./cpus.ts";

describe("processors of a process", () => {
  it.each(["", "a", "3-", "-1", "0,,1", "0x1", "5-3"])("are a list, which %j is not", (list) => {
    expect(() => keepToCpus(list)).toThrow(/give a list such as 0-3,6|only Linux/);
  });

  it.each(["1023", "0-999999999"])("have to be some that the machine has, which %s are not", (list) => {
    expect(() => keepToCpus(list)).toThrow(/this machine has \d|only Linux/);
  });

  it("are halved for two sides, unless there is one alone", () => {
    expect(halvesOfCpus([0, 1])).toEqual(["0", "1"]);
    expect(halvesOfCpus([2, 3, 5, 8, 9])).toEqual(["2,3", "5,8,9"]);
    expect([halvesOfCpus([4]), halvesOfCpus(null)]).toEqual([null, null]);
  });
});
