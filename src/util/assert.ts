/** Thrown where the code itself is wrong. It stays on in production: a wrong token is worse than a crash. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Fails on a bug of ours. Never used for what the world sends: that gets a typed error. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Ends a switch over a union, so that a new member is a compile error. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
