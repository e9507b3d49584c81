/** Interrupted: the usual exit status of a program that SIGINT ended. */
export const INTERRUPTED = 130;

/** Carries an exit status out of a command without a message. */
export class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}
