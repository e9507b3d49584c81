import { AssertionError } from "../../src/util/assert.ts";
import { tryAnswers } from "./answers.ts";
import { Broken } from "./hold.ts";
import { LEAKS } from "./leak-list.ts";
import { trySeed } from "./search.ts";

/**
 * Whether the fault search is worth what it says: in each owner something is kept too long or counted wrong, and the
 * search has to catch it. A leak is planted by replacing one method of a class; `npm run leaks` runs them all.
 */

/** Which search meets the owner: the fault search over pass engines or live ones, or answers of an `Edge`. */
export type WorldKind = "pass" | "live" | "answers";

// biome-ignore lint/suspicious/noExplicitAny: a planted leak reaches into what is private
export type Inside = any;

export interface Leak {
  readonly owner: { readonly name: string; readonly prototype: Inside };
  readonly what: string;
  readonly world: WorldKind;
  /** the method or getter that is replaced */
  readonly method: string;
  /** @param own the name that a private member has now: see `--renamed` */
  readonly instead: (
    self: Inside,
    real: (...args: Inside[]) => Inside,
    args: Inside[],
    own: (name: string) => string,
  ) => unknown;
}

/** By world: each throws, or rejects with, what it finds. */
const SEARCHES: Record<WorldKind, (seed: number) => unknown> = {
  pass: (seed) => trySeed(seed),
  live: (seed) => trySeed(seed, undefined, "live"),
  answers: tryAnswers,
};

/** What the searches made of one leak. */
export interface Caught {
  readonly owner: string;
  readonly what: string;
  readonly world: WorldKind;
  /** seeds that were tried */
  readonly tried: number;
  /** seeds in which an invariant was found broken */
  readonly seeds: readonly number[];
  /** what the first of them says */
  readonly says: string;
  /** errors that are no broken invariant: then the plant is wrong, not the search right */
  readonly strange: readonly string[];
}

export interface LeakOptions {
  readonly seeds: number;
  /** appended to the name of every private member in a copy of src; "": src itself */
  readonly suffix: string;
  /** only its leaks; default: all */
  readonly owner?: string | undefined;
  /** stop after so many seeds were caught; default: never */
  readonly enough?: number;
}

/** @returns what removes it again */
export function plant({ owner, method, instead }: Leak, suffix: string): () => void {
  const { prototype } = owner;
  const own = (name: string) => `${name}${suffix}`;
  const name = Object.hasOwn(prototype, own(method)) ? own(method) : method;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (!descriptor) throw new Error(`${owner.name} has no method ${method}: plant the leak in another`);
  const { value, get } = descriptor;
  const real = value ?? get;
  const replaced = function (this: Inside, ...args: Inside[]) {
    return instead(this, (...given: Inside[]) => real.apply(this, given), args, own);
  };
  Object.defineProperty(prototype, name, {
    ...descriptor,
    ...(get ? { get: replaced } : { value: replaced }),
  });
  return () => Object.defineProperty(prototype, name, descriptor);
}

export async function tryLeak(leak: Leak, { seeds, suffix, enough = seeds }: LeakOptions): Promise<Caught> {
  const search = SEARCHES[leak.world];
  const found: number[] = [];
  const strange: string[] = [];
  let says = "";
  let tried = 0;
  const remove = plant(leak, suffix);
  try {
    for (; tried < seeds && found.length < enough; tried++) {
      const error = await failureOf(search, tried);
      if (error === null) continue;
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      if (cause instanceof Broken || cause instanceof AssertionError) {
        if (found.length === 0) says = cause.message;
        found.push(tried);
      } else strange.push(`seed ${tried}: ${cause}`);
    }
  } finally {
    remove();
  }
  const { owner, what, world } = leak;
  return { owner: owner.name, what, world, tried, seeds: found, says, strange };
}

/** Seeds in which the searches find something though nothing is planted. */
export async function unharmed(seeds: number): Promise<string[]> {
  const found: string[] = [];
  for (const search of Object.values(SEARCHES)) {
    for (let seed = 0; seed < seeds; seed++) {
      const error = await failureOf(search, seed);
      if (error !== null) found.push(`seed ${seed}: ${error}`);
    }
  }
  return found;
}

export async function tryLeaks(
  options: LeakOptions,
  each: (caught: Caught) => void = () => {},
): Promise<Caught[]> {
  const all: Caught[] = [];
  for (const leak of LEAKS) {
    if (options.owner !== undefined && options.owner !== leak.owner.name) continue;
    const caught = await tryLeak(leak, options);
    all.push(caught);
    each(caught);
  }
  return all;
}

async function failureOf(search: (seed: number) => unknown, seed: number): Promise<unknown> {
  try {
    await search(seed);
    return null;
  } catch (error) {
    return error;
  }
}
