import { isMetadataFirst, REPLICATE_SETTING } from "../core/metadata-first.ts";
import type { BucketName } from "../core/names.ts";
import type { OperationBody } from "../core/records.ts";

/**
 * Which buckets are metadata-first while operations are being taken in: settings that arrive with
 * them count before the store has them. The store judges again what it is given.
 */
export class ShownFirst {
  readonly #stored: (bucket: BucketName) => boolean;
  readonly #said = new Map<BucketName, boolean>();

  constructor(stored: (bucket: BucketName) => boolean) {
    this.#stored = stored;
  }

  /** What comes in front of others. */
  note(body: OperationBody): void {
    if (body.kind !== "bucket-setting" || body.name !== REPLICATE_SETTING) return;
    const { bucket, name, value } = body;
    this.#said.set(bucket, value !== undefined && isMetadataFirst(new Map([[name, value]])));
  }

  has(bucket: BucketName): boolean {
    return this.#said.get(bucket) ?? this.#stored(bucket);
  }
}
