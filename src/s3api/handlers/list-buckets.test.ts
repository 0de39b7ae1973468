import { afterAll, beforeAll, expect, test } from "vitest";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { type BucketName, parseBucketName } from "../../core/names.ts";
import type { StoredBucket } from "../../storage/store.ts";

const BUCKETS = 1024;
let site: S3Site;
/** Buckets read since the event loop last went round, and the most of them. */
let read = { now: 0, most: 0 };

beforeAll(async () => {
  site = await openS3Site();
  const all = Array.from({ length: BUCKETS }, (_, at): StoredBucket => {
    const name = parseBucketName(`b${String(at).padStart(4, "0")}`) as BucketName;
    return { name, createdMs: 0, owner: "owner", settings: new Map() };
  });
  function* buckets(after: string | undefined): Generator<StoredBucket> {
    for (const bucket of all) {
      if (after !== undefined && bucket.name <= after) continue;
      read = { now: read.now + 1, most: Math.max(read.most, read.now + 1) };
      yield bucket;
    }
  }
  Object.assign(site.store, { buckets });
});
afterAll(() => site.close());

async function listed(query: string) {
  const { status, body } = await site.ask({ method: "GET", path: `/?${query}` });
  expect(status).toBe(200);
  const text = body.toString();
  const names = [...text.matchAll(/<Name>(\w+)</g)].map(([, name]) => name);
  return { names, token: /<ContinuationToken>([^<]+)</.exec(text)?.[1] };
}

test("thousands of buckets are judged in many turns, and each is shown once", async () => {
  const goRound = (): void => {
    read.now = 0;
    timer = setImmediate(goRound);
  };
  let timer = setImmediate(goRound);
  const { names, token } = await listed("");
  clearImmediate(timer);
  expect(new Set(names).size).toBe(BUCKETS);
  expect(names).toHaveLength(BUCKETS);
  expect(token).toBeUndefined();
  expect(read.most).toBeLessThan(BUCKETS / 2);
});

test.each([100, 256, 300, 1023, 1024, 5000])("pages of %i hold every bucket once", async (max) => {
  const names: Array<string | undefined> = [];
  let token: string | undefined;
  do {
    const more = token === undefined ? "" : `&continuation-token=${token}`;
    const page = await listed(`max-buckets=${max}${more}`);
    expect(page.names.length).toBeLessThanOrEqual(max);
    names.push(...page.names);
    token = page.token;
  } while (token !== undefined);
  expect(names).toHaveLength(BUCKETS);
  expect(new Set(names).size).toBe(BUCKETS);
});
