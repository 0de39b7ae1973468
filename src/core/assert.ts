/** A broken invariant of our own: the programmer must act. Never thrown for bad input. */
class AssertionFault extends Error {
  override readonly name = "AssertionFault";
}

/** Stops when an invariant of ours does not hold. Stays on in production: a wrong byte is worse. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}

/** Ends an exhaustive `switch`: a forgotten case does not compile. */
export function unreachable(value: never): never {
  throw new AssertionFault(`unreachable: ${String(value)}`);
}
