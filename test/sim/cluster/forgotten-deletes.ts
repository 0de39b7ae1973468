import type { BucketName, ObjectKey, OriginId } from "../../../src/core/names.ts";
import type { Dot, Operation } from "../../../src/core/records.ts";
import type { Observed } from "./log-observer.ts";

type Place = { readonly bucket: BucketName; readonly key: ObjectKey };

/**
 * Deletes that a site was free to forget while it was alone, as nobody was there who could bring
 * back what they stand against. An older write of the cluster that it joins then meets the mark, or
 * none: both are right, as long as all sites agree.
 */
export class ForgottenDeletes {
  readonly #places: Place[] = [];
  readonly #dots = new Set<string>();

  /** Looks at the log of a site that joins now; `beforeMs`: older marks may have gone. */
  look(operations: readonly Observed[], beforeMs: number): void {
    const all = operations.map(({ operation }) => operation);
    for (const { dot, body } of all) {
      if (body.kind !== "object-delete" || !body.nullSlot || body.nullMarker) continue;
      if (body.deletedMs >= beforeMs) continue;
      this.#places.push(body);
      const earlier = all.filter((one) => one.dot.seq <= dot.seq && isOf(one, body));
      for (const one of earlier) this.#dots.add(nameOf(one.dot));
    }
  }

  /** Whether it is such a delete, or what that had deleted. */
  has(dot: Dot): boolean {
    return this.#dots.has(nameOf(dot));
  }

  get isEmpty(): boolean {
    return this.#dots.size === 0;
  }

  /** Keys of a bucket that may show what is older than such a delete. */
  keys(bucket: BucketName): ReadonlySet<ObjectKey> {
    const own = this.#places.filter((place) => place.bucket === bucket);
    return new Set(own.map(({ key }) => key));
  }
}

function isOf({ body }: Operation, { bucket, key }: Place): boolean {
  return "key" in body && body.bucket === bucket && body.key === key;
}

function nameOf({ origin, seq }: { readonly origin: OriginId; readonly seq: number }): string {
  return `${origin} ${seq}`;
}
