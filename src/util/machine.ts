/** Decides and does nothing: events and the time in, effects out, in the order in which they are to be performed. */
export interface Machine<Event, Effect> {
  handle(event: Event, nowMs: number): readonly Effect[];
}
