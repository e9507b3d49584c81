/**
 * The last resort: runs what may throw by a fault of ours. A fault is told, and costs what it happened in and no more.
 * @param failed hears of faults; null: they are thrown to the caller, as tests want it
 * @param lose ends what the fault happened in; a fault in that is told as well
 */
export function guarded(
  failed: ((error: unknown) => void) | null | undefined,
  act: () => void,
  lose: () => void,
): void {
  if (!failed) {
    act();
    return;
  }
  try {
    act();
  } catch (error) {
    failed(error);
    try {
      lose();
    } catch (again) {
      failed(again);
    }
  }
}
