import type { BucketQuota } from "../core/bucket-quota.ts";
import { type AccessKeyId, parseAccessKeyId } from "../core/names.ts";
import type { Disk } from "../ports/disk.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";

const FORMAT = 1;
const FILE_NAME = "key-quotas.json";

/** What the buckets of a key hold together. */
export type KeyUsage = {
  readonly buckets: number;
  readonly bytes: number;
  /** Objects and versions; delete markers are not counted. */
  readonly objects: number;
};

/**
 * The most that the buckets of each access key may hold together. They are this site's alone and
 * never travel: a file of the data directory has them, and memory has what the file says.
 */
export class KeyQuotas {
  readonly #disk: Disk;
  readonly #path: string;
  #quotas: ReadonlyMap<AccessKeyId, BucketQuota>;
  #writing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, path: string, quotas: ReadonlyMap<AccessKeyId, BucketQuota>) {
    this.#disk = disk;
    this.#path = path;
    this.#quotas = quotas;
  }

  /** By access key, in the order in which they were first set. */
  all(): ReadonlyMap<AccessKeyId, BucketQuota> {
    return this.#quotas;
  }

  /** Sets the quota of a key, or removes it; durable and in force when this resolves. */
  put(id: AccessKeyId, quota: BucketQuota | undefined): Promise<void> {
    const written = this.#writing.then(async () => {
      const next = new Map(this.#quotas);
      if (quota === undefined) next.delete(id);
      else next.set(id, quota);
      await writeJsonFile(this.#disk, this.#path, { format: FORMAT, quotas: fieldsOf(next) });
      this.#quotas = next;
    });
    // One that failed has told its caller; the next begins from what is in force.
    this.#writing = written.catch(() => undefined);
    return written;
  }
}

/**
 * Reads the quotas of a data directory; one without the file has none.
 *
 * @throws StorageFault "corrupt" or "unsupported": a quota is never passed over.
 */
export async function openKeyQuotas(disk: Disk, directory: string): Promise<KeyQuotas> {
  const path = `${directory}/${FILE_NAME}`;
  const quotas = await readJsonFile(disk, path, (value) => parseQuotas(path, value));
  return new KeyQuotas(disk, path, quotas ?? new Map());
}

function fieldsOf(quotas: ReadonlyMap<AccessKeyId, BucketQuota>): ReadonlyArray<object> {
  return [...quotas].map(([id, { bytesMax, objectsMax }]) => ({ id, bytesMax, objectsMax }));
}

function parseQuotas(path: string, value: unknown): Map<AccessKeyId, BucketQuota> | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const { quotas } = fields;
  if (fields["format"] !== FORMAT || !Array.isArray(quotas)) return undefined;
  const found = new Map<AccessKeyId, BucketQuota>();
  for (const one of quotas) {
    const { id, bytesMax, objectsMax } = asFields(one) ?? {};
    const key = typeof id === "string" ? parseAccessKeyId(id) : undefined;
    if (key === undefined || !isLimit(bytesMax) || !isLimit(objectsMax)) return undefined;
    if (bytesMax === undefined && objectsMax === undefined) return undefined;
    found.set(key, { bytesMax, objectsMax });
  }
  return found;
}

function isLimit(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0);
}
