import type { BucketQuota } from "../core/bucket-quota.ts";
import {
  type AccessKeyId,
  type BucketName,
  parseAccessKeyId,
  parseBucketName,
} from "../core/names.ts";
import type { Disk } from "../ports/disk.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";
import { Line } from "./line.ts";

const FORMAT = 1;

/** What the buckets of a key hold together. */
export type KeyUsage = {
  readonly buckets: number;
  readonly bytes: number;
  /** Objects and versions; delete markers are not counted. */
  readonly objects: number;
};

/** The most that may be stored at this site; what other sites allow is theirs. */
export interface Quotas {
  /** By access key, in the order in which they were first set. */
  ofKeys(): ReadonlyMap<AccessKeyId, BucketQuota>;
  /** Sets or removes the quota of a key; durable and in force when this resolves. */
  putKey(id: AccessKeyId, quota: BucketQuota | undefined): Promise<void>;
  /** The quota of a bucket. @throws LayoutError for one that cannot be read. */
  ofBucket(name: BucketName): BucketQuota | undefined;
  /** Sets or removes the quota of a bucket, which outlives it; as with keys. */
  putBucket(name: BucketName, quota: BucketQuota | undefined): Promise<void>;
}

/** What the file says of a bucket that has no quota here, whatever its settings say. */
export const NO_QUOTA: BucketQuota = { bytesMax: undefined, objectsMax: undefined };

type FileShape<Name extends string> = {
  readonly file: string;
  readonly parse: (text: string) => Name | undefined;
  /** Whether an entry without a limit means something. */
  readonly mayBeEmpty: boolean;
};

const OF_KEYS: FileShape<AccessKeyId> = {
  ...{ file: "key-quotas.json", parse: parseAccessKeyId, mayBeEmpty: false },
};
const OF_BUCKETS: FileShape<BucketName> = {
  ...{ file: "bucket-quotas.json", parse: parseBucketName, mayBeEmpty: true },
};

/**
 * Quotas by name. They are this site's alone and never travel: a file of the data directory has
 * them, and memory has what the file says.
 */
class QuotaFile<Name extends string> {
  readonly #disk: Disk;
  readonly #path: string;
  #quotas: ReadonlyMap<Name, BucketQuota>;
  /** A change that failed has told its caller; the next begins from what is in force. */
  readonly #changes = new Line();

  constructor(disk: Disk, path: string, quotas: ReadonlyMap<Name, BucketQuota>) {
    this.#disk = disk;
    this.#path = path;
    this.#quotas = quotas;
  }

  all(): ReadonlyMap<Name, BucketQuota> {
    return this.#quotas;
  }

  put(name: Name, quota: BucketQuota | undefined): Promise<void> {
    return this.#changes.run(async () => {
      const next = new Map(this.#quotas);
      if (quota === undefined) next.delete(name);
      else next.set(name, quota);
      await writeJsonFile(this.#disk, this.#path, { format: FORMAT, quotas: fieldsOf(next) });
      this.#quotas = next;
    });
  }
}

/** The quotas of a data directory. */
export type LocalQuotas = {
  readonly keys: QuotaFile<AccessKeyId>;
  readonly buckets: QuotaFile<BucketName>;
};

/**
 * Reads the quotas of a data directory; one without the files has none.
 *
 * @throws StorageFault "corrupt" or "unsupported": a quota is never passed over.
 */
export async function openLocalQuotas(disk: Disk, directory: string): Promise<LocalQuotas> {
  return {
    keys: await openFile(disk, directory, OF_KEYS),
    buckets: await openFile(disk, directory, OF_BUCKETS),
  };
}

async function openFile<Name extends string>(
  disk: Disk,
  directory: string,
  shape: FileShape<Name>,
): Promise<QuotaFile<Name>> {
  const path = `${directory}/${shape.file}`;
  const quotas = await readJsonFile(disk, path, (value) => parseQuotas(path, value, shape));
  return new QuotaFile(disk, path, quotas ?? new Map<Name, BucketQuota>());
}

function fieldsOf(quotas: ReadonlyMap<string, BucketQuota>): ReadonlyArray<object> {
  return [...quotas].map(([id, { bytesMax, objectsMax }]) => ({ id, bytesMax, objectsMax }));
}

function parseQuotas<Name extends string>(
  path: string,
  value: unknown,
  { parse, mayBeEmpty }: FileShape<Name>,
): Map<Name, BucketQuota> | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const { quotas } = fields;
  if (fields["format"] !== FORMAT || !Array.isArray(quotas)) return undefined;
  const found = new Map<Name, BucketQuota>();
  for (const one of quotas) {
    const { id, bytesMax, objectsMax } = asFields(one) ?? {};
    const name = typeof id === "string" ? parse(id) : undefined;
    if (name === undefined || !isLimit(bytesMax) || !isLimit(objectsMax)) return undefined;
    if (bytesMax === undefined && objectsMax === undefined && !mayBeEmpty) return undefined;
    found.set(name, { bytesMax, objectsMax });
  }
  return found;
}

function isLimit(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0);
}
