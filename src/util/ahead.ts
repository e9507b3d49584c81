/**
 * The same values, of which the first is asked for now, and not when the reader comes: what makes them begins at once. Whoever
 * calls it reads them, or returns.
 */
export function ahead<T>(values: AsyncIterable<T>): AsyncIterableIterator<T, void, undefined> {
  const iterator = values[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<T, void>> | null = iterator.next();
  // An error is the reader's, when it comes.
  first.catch(() => {});
  return {
    next() {
      const next = first ?? iterator.next();
      first = null;
      return next;
    },
    async return() {
      first = null;
      await iterator.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
