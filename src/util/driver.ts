import { AssertionError, assert } from "./assert.ts";
import type { Clock } from "./clock.ts";
import type { Machine } from "./machine.ts";

/** Brings events to a machine and performs its effects. */
export interface Driver<Event> {
  /** @throws the first error of a handler or an effect, once the queue is empty; see `drive` */
  dispatch(event: Event): void;
  /** @throws AssertionError between two dispatches when events were left behind */
  checkIntegrity(): void;
}

/** An event whose effects cause it again and again would never end: far more than any turn has ever had. */
const MOST_QUEUED_EVENTS = 10_000;

/**
 * The only loop that runs a machine, on both sides. It is synchronous and first in, first out: effects are performed
 * in their order, and an event that an effect causes at once waits until all effects before it are performed. The
 * clock is read anew for each event.
 *
 * An error costs only the event or the effect that threw it. What is queued behind it still runs, since it may belong
 * to another session or give something back; then the first error is thrown to the caller of the outermost `dispatch`.
 * A queue that overflows is dropped.
 */
export function drive<Event, Effect>(
  machine: Machine<Event, Effect>,
  clock: Clock,
  perform: (effect: Effect) => void,
): Driver<Event> {
  const queue: Event[] = [];
  let running = false;
  let failed = false;
  let failure: unknown = null;

  const note = (error: unknown) => {
    if (!failed) failure = error;
    failed = true;
  };
  // Without a closure for each event and effect: this runs several times a token.
  const one = (event: Event) => {
    let effects: readonly Effect[];
    try {
      effects = machine.handle(event, clock.nowMs());
    } catch (error) {
      note(error);
      return;
    }
    for (const effect of effects) {
      try {
        perform(effect);
      } catch (error) {
        note(error);
      }
    }
  };

  return {
    dispatch(event) {
      if (running) {
        if (queue.push(event) <= MOST_QUEUED_EVENTS) return;
        queue.length = 0;
        throw new AssertionError(`${MOST_QUEUED_EVENTS} events wait: they cause each other`);
      }
      running = true;
      for (let next: Event | undefined = event; next !== undefined; next = queue.shift()) one(next);
      running = false;
      if (!failed) return;
      const first = failure;
      failed = false;
      failure = null;
      throw first;
    },
    checkIntegrity() {
      assert(running || queue.length === 0, `${queue.length} events were left behind`);
    },
  };
}
