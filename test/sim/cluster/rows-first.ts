import { StorageFault } from "../../../src/core/faults.ts";
import { METADATA_FIRST, REPLICATE_SETTING } from "../../../src/core/metadata-first.ts";
import type { BucketName } from "../../../src/core/names.ts";
import type { Operation } from "../../../src/core/records.ts";
import { ReadThrough } from "../../../src/replication/read-through.ts";
import type { Replication } from "../../../src/replication/replication.ts";
import type { Store, StoredObject } from "../../../src/storage/store.ts";
import type { Seed } from "../seed.ts";
import { BrokenPromise } from "../store-check.ts";
import { listVersions } from "./client-words.ts";
import type { Running } from "./cluster-machine.ts";

/*
 * Lives in which buckets show rows first: what of bodies stands elsewhere is fetched when it is
 * read, and nothing else may become less true because of that.
 */

/** Says of a bucket that it shows rows first, or not any more. */
export function modeWish(seed: Seed, bucket: BucketName) {
  const value = seed.chance(0.7) ? METADATA_FIRST : undefined;
  return {
    name: `${value === undefined ? "bytes" : "rows"} first in ${bucket}`,
    send: async (store: Store) => {
      const setting = { bucket, name: REPLICATE_SETTING, value };
      const { outcome } = await store.putBucketSetting(setting);
      const proof = ({ body }: Operation): boolean =>
        body.kind === "bucket-setting" && body.bucket === bucket && body.name === setting.name;
      return outcome === "stored" ? { outcome, proof } : { outcome };
    },
  };
}

/** Fetches what is missing at a site, as the server wires it. */
export function startReadThrough(
  { site: { store }, clock, replica }: Running,
  log: ConstructorParameters<typeof ReadThrough>[0]["log"],
  replication: () => Replication,
): ReadThrough {
  const through = new ReadThrough({
    ...{ remote: store.remote, clock, log },
    onCommit: (listener) => replica.onCommit(listener),
    fetch: (manifest, first, signal) =>
      replication().fetch({ kind: "manifests", manifests: [manifest] }, first, signal),
    siteOf: (origin) => store.sites().find(({ origins }) => origins.includes(origin))?.id,
  });
  through.start();
  return through;
}

/** Whether a read could be done; false when bytes stand elsewhere, and cannot be had now. */
export async function canRead(read: () => Promise<void>): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (failure) {
    if (failure instanceof StorageFault && failure.kind === "unreachable") return false;
    throw failure;
  }
}

type Everywhere = {
  readonly sites: ReadonlyArray<{ readonly name: string; readonly running: Running }>;
  readonly mayLose: boolean;
};

/**
 * Throws when bytes that could not be read at one site are at another one, or are lost although no
 * site is gone that may have had them alone.
 */
export function checkElsewhere(
  at: string,
  { bucket, key, version }: StoredObject,
  { sites, mayLose }: Everywhere,
): void {
  const what = `${bucket}/${key} ${version}`;
  for (const { name, running } of sites) {
    const { store } = running.site;
    const has = listVersions(store, bucket).some(
      (one) => one.kind === "object" && isOne(one.object) && !store.remote.isRemote(one.object),
    );
    if (has) throw new BrokenPromise(`${at} cannot get the bytes of ${what}, which ${name} has`);
  }
  if (!mayLose) throw new BrokenPromise(`the bytes of ${what} are nowhere`);

  function isOne(object: StoredObject): boolean {
    return object.key === key && object.version === version;
  }
}
