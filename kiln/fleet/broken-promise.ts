/** A simulation saw what must never happen. */
class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** @throws BrokenPromise unless it holds */
export function promised(holds: boolean, what: string): asserts holds {
  if (!holds) throw new BrokenPromise(what);
}
