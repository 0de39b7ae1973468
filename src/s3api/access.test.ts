import { beforeEach, describe, expect, test } from "vitest";
import { callerOf, documentOf } from "../../test/support/policies.ts";
import { parseBucketName } from "../core/names.ts";
import type { StoredBucket, StoredObject } from "../storage/store.ts";
import { type AccessStore, judge } from "./access.ts";
import { OWNERSHIP_CONTROLS } from "./settings/ownership-controls.ts";
import { PUBLIC_ACCESS_BLOCK } from "./settings/public-access-block.ts";

type Settings = Readonly<Record<string, string>>;

const EVERYONE_READS = JSON.stringify({
  Statement: {
    ...{ Sid: "Open", Effect: "Allow", Principal: "*" },
    ...{ Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" },
  },
});
const NOBODY_DELETES = JSON.stringify({
  Statement: {
    ...{ Effect: "Deny", Principal: "*" },
    ...{ Action: ["s3:DeleteObject", "s3:GetBucketPolicy"], Resource: "*" },
  },
});
const OPEN_BLOCK = {
  ...{ BlockPublicAcls: false, IgnorePublicAcls: false },
  ...{ BlockPublicPolicy: false, RestrictPublicBuckets: false },
};
const IGNORE = text(PUBLIC_ACCESS_BLOCK.encode({ ...OPEN_BLOCK, IgnorePublicAcls: true }));
const RESTRICT = text(PUBLIC_ACCESS_BLOCK.encode({ ...OPEN_BLOCK, RestrictPublicBuckets: true }));
const ENFORCED = text(OWNERSHIP_CONTROLS.encode("BucketOwnerEnforced"));

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function bucketWith(settings: Settings): StoredBucket {
  const name = parseBucketName("photos");
  if (name === undefined) throw new Error("photos is a bucket name");
  const rows = Object.entries(settings).map(([key, value]) => [key, Buffer.from(value)] as const);
  return { name, createdMs: 0, owner: "owner", settings: new Map(rows) };
}

/** A store in which the keys "a" (with this ACL) and no other exist; it counts what is read. */
function storeWith(acl: string | undefined): AccessStore & { reads: number } {
  const system = acl === undefined ? [] : [["x-amz-acl", acl] as const];
  const object = { record: { attributes: { system, tags: [] } } } as unknown as StoredObject;
  const store = {
    reads: 0,
    object: (_bucket: string, key: string) => {
      store.reads += 1;
      return key === "a" ? object : undefined;
    },
    version: () => undefined,
  };
  return store;
}

type Who = "root" | "user" | "anonymous";

function reason(
  who: Who,
  action: string,
  settings: Settings,
  more: { key?: string; acl?: string; store?: AccessStore; own?: object } = {},
): string {
  const policies = more.own === undefined ? [] : [documentOf(more.own)];
  const store = more.store ?? storeWith(more.acl);
  return judge(
    {
      ...{ credential: { ...callerOf(who), policies }, action, bucketName: "photos" },
      ...{ bucket: bucketWith(settings), key: more.key ?? "a" },
      ...{ version: undefined, valuesOf: () => undefined },
    },
    store,
  ).reason;
}

describe("whoever asks", () => {
  test("a bucket's policy and a key's own are one set of rules", () => {
    const own = { Effect: "Allow", Action: "s3:*", Resource: "*" };
    const policy = { policy: EVERYONE_READS };
    expect(reason("user", "s3:GetObject", policy)).toBe("allowed");
    expect(reason("anonymous", "s3:GetObject", policy)).toBe("allowed");
    expect(reason("user", "s3:PutObject", policy)).toBe("no-allow");
    expect(reason("user", "s3:PutObject", policy, { own })).toBe("allowed");
    const denies = { policy: NOBODY_DELETES };
    expect(reason("user", "s3:DeleteObject", denies, { own })).toBe("explicit-deny");
    expect(reason("root", "s3:DeleteObject", denies)).toBe("explicit-deny");
    const block = { ...own, Effect: "Deny" };
    expect(reason("user", "s3:GetObject", policy, { own: block })).toBe("explicit-deny");
  });

  test("the root key can always look after a bucket's policy", () => {
    expect(reason("root", "s3:GetBucketPolicy", { policy: NOBODY_DELETES })).toBe("root");
    expect(reason("user", "s3:GetBucketPolicy", { policy: NOBODY_DELETES })).toBe("explicit-deny");
  });

  test("a policy that cannot be read fails the request, and lets nobody in", () => {
    for (const who of ["root", "user", "anonymous"] as const) {
      expect(() => reason(who, "s3:GetObject", { policy: "{" })).toThrow("internal error");
    }
  });

  test("a public policy is for keys only where public access is restricted", () => {
    const settings = { policy: EVERYONE_READS, "public-access-block": RESTRICT };
    expect(reason("anonymous", "s3:GetObject", settings)).toBe("no-allow");
    expect(reason("user", "s3:GetObject", settings)).toBe("allowed");
  });
});

describe("ACLs", () => {
  test.each([
    ["anonymous", "s3:ListBucket", "public-read", "allowed"],
    ["anonymous", "s3:ListBucket", "authenticated-read", "no-allow"],
    ["user", "s3:ListBucket", "authenticated-read", "allowed"],
    ["anonymous", "s3:PutObject", "public-read", "no-allow"],
    ["anonymous", "s3:PutObject", "public-read-write", "allowed"],
    ["anonymous", "s3:GetObject", "public-read-write", "no-allow"],
    ["anonymous", "s3:GetBucketAcl", "public-read-write", "no-allow"],
    ["anonymous", "s3:ListBucket", "nonsense", "no-allow"],
  ] as const)("of a bucket: %s may %s with %s: %s", (who, action, acl, expected) => {
    expect(reason(who, action, { acl })).toBe(expected);
  });

  test("of an object are read last, and only for what they can grant", () => {
    let store = storeWith("public-read");
    const ask = (who: Who, action: string, settings: Settings = {}, own?: object) =>
      reason(who, action, settings, { store, ...(own === undefined ? {} : { own }) });
    expect(ask("anonymous", "s3:GetObject")).toBe("allowed");
    expect(store.reads).toBe(1);
    store = storeWith("public-read");
    expect(ask("anonymous", "s3:PutObject")).toBe("no-allow");
    expect(ask("root", "s3:GetObject")).toBe("root");
    const own = { Effect: "Allow", Action: "s3:GetObject", Resource: "*" };
    expect(ask("user", "s3:GetObject", {}, own)).toBe("allowed");
    expect(ask("user", "s3:GetObject", {}, { ...own, Effect: "Deny" })).toBe("explicit-deny");
    expect(store.reads).toBe(0);
  });

  test("count for nothing where they are turned off, and public ones where they are ignored", () => {
    for (const settings of [
      { "ownership-controls": ENFORCED },
      { "public-access-block": IGNORE },
    ]) {
      const acl = "public-read";
      expect(reason("anonymous", "s3:ListBucket", { acl, ...settings })).toBe("no-allow");
      expect(reason("anonymous", "s3:GetObject", settings, { acl })).toBe("no-allow");
    }
  });

  test("of what is not there say that to those who may list", () => {
    expect(reason("anonymous", "s3:GetObject", {}, { key: "none" })).toBe("no-allow");
    const listable = { acl: "public-read" };
    expect(reason("anonymous", "s3:GetObject", listable, { key: "none" })).toBe("allowed");
    expect(reason("anonymous", "s3:GetObject", listable)).toBe("no-allow");
  });
});

let store: AccessStore;
beforeEach(() => {
  store = storeWith(undefined);
});

test("of a bucket that is not there, only the key's own policies speak", () => {
  const ask = (own: object[]) =>
    judge(
      {
        credential: { ...callerOf("user"), policies: own.map((one) => documentOf(one)) },
        ...{ action: "s3:GetObject", bucketName: "nowhere", bucket: undefined, key: "a" },
        ...{ version: undefined, valuesOf: () => undefined },
      },
      store,
    ).reason;
  expect(ask([])).toBe("no-allow");
  expect(ask([{ Effect: "Allow", Action: "*", Resource: "*" }])).toBe("allowed");
});
