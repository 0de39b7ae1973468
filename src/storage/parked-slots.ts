import type { Dot, WriteStamp } from "../core/records.ts";
import type { KeyName } from "./metadata/key-versions.ts";
import { objectKeyOf } from "./metadata/keys.ts";

type Write = { readonly slot: string; readonly stamp: WriteStamp };

/** Parked writes of null slots, by the key that they are of: writes behind them end them. */
export class ParkedSlots {
  readonly #writes = new Map<string, Write>();
  readonly #bySlot = new Map<string, Set<Write>>();

  /** Takes note of a parked write. */
  add(stamp: WriteStamp, { bucket, key }: KeyName): void {
    const slot = objectKeyOf(bucket, key);
    const write = { slot, stamp };
    this.#writes.set(nameOf(stamp), write);
    const others = this.#bySlot.get(slot);
    if (others === undefined) this.#bySlot.set(slot, new Set([write]));
    else others.add(write);
  }

  /** An operation is not parked any more. */
  remove(dot: Dot): void {
    const write = this.#writes.get(nameOf(dot));
    if (write === undefined) return;
    this.#writes.delete(nameOf(dot));
    const others = this.#bySlot.get(write.slot);
    others?.delete(write);
    if (others?.size === 0) this.#bySlot.delete(write.slot);
  }

  /** Parked writes of a slot that stand before an operation in its log, in their order. */
  before({ origin, seq }: Dot, { bucket, key }: KeyName): readonly WriteStamp[] {
    const writes = this.#bySlot.get(objectKeyOf(bucket, key)) ?? [];
    return Array.from(writes, ({ stamp }) => stamp)
      .filter((stamp) => stamp.origin === origin && stamp.seq < seq)
      .sort((left, right) => left.seq - right.seq);
  }
}

function nameOf({ origin, seq }: Dot): string {
  return `${origin} ${seq}`;
}
