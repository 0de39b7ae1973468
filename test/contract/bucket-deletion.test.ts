import { describe, expect, test } from "vitest";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";
import { useVersions } from "../support/version-suite.ts";

const alpha = bucketOf("alpha");
const other = bucketOf("other");
const UPLOADS = 300;

describe.each(SITES)("deleting a bucket in %s", (_name, make) => {
  const site = useSite(make);
  const { store, expectSameRowsAfterRebuild } = site;
  const { putRequest } = useVersions(site);

  async function begin(uploads: number): Promise<void> {
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const rest = { initiator: "i", attributes, encryption: undefined, checksum: undefined };
    const keys = Array.from({ length: uploads }, (_, at) => keyOf(`k${at % 7}`));
    await Promise.all(keys.map((key) => store().createUpload({ bucket: alpha, key, ...rest })));
  }

  test("ends its uploads between the writes of others", async () => {
    await begin(UPLOADS);
    await store().createBucket({ name: other, owner: "o" });
    const order: string[] = [];
    const deleted = store()
      .deleteBucket(alpha)
      .then(({ outcome }) => order.push(outcome));
    for (const key of ["a", "b", "c"]) {
      const request = { ...putRequest(key, "text"), bucket: other };
      order.push((await store().putObject(request)).outcome);
    }
    await deleted;
    expect(order).toEqual(["stored", "stored", "stored", "deleted"]);
    expect(store().stats().multipartUploads).toBe(0);
    await store().createBucket({ name: alpha, owner: "o" });
    expect(store().uploads(alpha).next()).toBeUndefined();
    await expectSameRowsAfterRebuild();
  });

  test("takes its place among the writes that wait, with few uploads or none", async () => {
    for (const uploads of [0, 3]) {
      await store().createBucket({ name: alpha, owner: "o" });
      await begin(uploads);
      const request = { ...putRequest("a", "text"), bucket: alpha };
      const asked = [store().deleteBucket(alpha), store().putObject(request)];
      const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome);
      expect(outcomes).toEqual(["deleted", "no-such-bucket"]);
    }
  });

  test("ends none of them when the bucket is not empty", async () => {
    await begin(UPLOADS);
    await store().putObject({ ...putRequest("a", "text"), bucket: alpha });
    expect(await store().deleteBucket(alpha)).toEqual({ outcome: "not-empty" });
    expect(store().stats().multipartUploads).toBe(UPLOADS);
  });
});
