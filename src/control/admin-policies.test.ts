import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { parseAccessKeyId } from "../core/names.ts";
import type { AccessKeyRecord } from "../core/records.ts";
import type { Store } from "../storage/store.ts";
import {
  deletePolicy,
  type PolicyDesk,
  putPolicy,
  showPolicies,
  testPolicy,
  validatePolicy,
} from "./admin-policies.ts";

const ALICE = parseAccessKeyId("alice");

const DESK: PolicyDesk = {
  problemOf: (json, bucket) =>
    json.includes("wrong") ? `it is wrong for ${bucket ?? "keys"}` : undefined,
  judge: ({ accessKey, action, values }) => {
    if (accessKey !== undefined && accessKey !== ALICE) return undefined;
    const statement = { policy: "mine", number: 2, sid: undefined, effect: "Allow" } as const;
    return action === "s3:GetObject" && values.get("s3:prefix")?.[0] !== "secret"
      ? { allowed: true, reason: "allowed", statement }
      : { allowed: false, reason: "no-allow", statement: undefined };
  },
};

describe("the policies of a key", () => {
  let record: AccessKeyRecord;
  let store: Store;

  beforeEach(() => {
    if (ALICE === undefined) throw new Error("alice is an access key id");
    record = {
      ...{ id: ALICE, state: "active", name: "", createdMs: 0 },
      sealedSecret: Buffer.from("sealed"),
      policies: [["read", '{"Statement":[]}']],
    };
    store = {
      accessKey: (id) => (id === ALICE ? record : undefined),
      putAccessKey: async (changed) => {
        record = changed;
      },
    } as Pick<Store, "accessKey" | "putAccessKey"> as Store;
  });

  test("are put, shown, replaced and taken away; the rest of the key stays", async () => {
    const place = { id: "alice", name: "photos" };
    const put = await putPolicy(DESK, store, place, { policy: { Statement: [1] } });
    expect(put).toEqual({
      status: 200,
      body: { access_key: "alice", policies: ["read", "photos"] },
    });
    await putPolicy(DESK, store, place, { policy: { Statement: [2] } });
    expect(showPolicies(store, "alice", undefined).body).toEqual(put.body);
    expect(showPolicies(store, "alice", "photos").body).toEqual({
      ...{ access_key: "alice", name: "photos" },
      policy: { Statement: [2] },
    });
    expect(Buffer.from(record.sealedSecret).toString()).toBe("sealed");
    const removed = await deletePolicy(store, place);
    expect(removed.body).toEqual({ access_key: "alice", policies: ["read"] });
    expect((await deletePolicy(store, place)).status).toBe(404);
    expect(showPolicies(store, "alice", "photos").status).toBe(404);
  });

  test("keep what they are when a change is refused", async () => {
    const before = record;
    const put = (id: string, name: string, body: unknown) =>
      putPolicy(DESK, store, { id, name }, body);
    expect((await put("alice", "p", { policy: { is: "wrong" } })).body).toEqual({
      error: { message: "That policy cannot be used: it is wrong for keys" },
    });
    expect((await put("alice", "p", { policy: "text" })).status).toBe(400);
    expect((await put("alice", "p", undefined)).status).toBe(400);
    expect((await put("alice", "p", { policy: {}, more: 1 })).status).toBe(400);
    expect((await put("alice", "a%20b", { policy: {} })).status).toBe(400);
    expect((await put("alice", "%E0%A4", { policy: {} })).status).toBe(400);
    expect((await put("bob", "p", { policy: {} })).status).toBe(404);
    expect(record).toBe(before);
  });

  test("are not without number", async () => {
    for (let count = 2; count <= 20; count++) {
      const place = { id: "alice", name: `policy-${count}` };
      expect((await putPolicy(DESK, store, place, { policy: {} })).status).toBe(200);
    }
    const place = { id: "alice", name: "one-more" };
    expect((await putPolicy(DESK, store, place, { policy: {} })).status).toBe(409);
    const again = { id: "alice", name: "policy-20" };
    expect((await putPolicy(DESK, store, again, { policy: {} })).status).toBe(200);
  });
});

describe("without changing anything", () => {
  test("a policy is checked, for keys or for a bucket", () => {
    expect(validatePolicy(DESK, { policy: {} }).body).toEqual({ valid: true });
    expect(validatePolicy(DESK, { policy: "wrong", bucket: "photos" })).toEqual({
      status: 200,
      body: { valid: false, problem: "it is wrong for photos" },
    });
    expect(validatePolicy(DESK, { policies: {} }).status).toBe(400);
  });

  test.each([
    [{}, 400],
    [{ action: "Get" }, 400],
    [{ action: "s3:GetObject", key: "a" }, 400],
    [{ action: "s3:GetObject", extra: "a" }, 400],
    [{ action: "s3:GetObject", values: { "s3:prefix": "a" } }, 400],
    [{ action: "s3:GetObject", access_key: "bob-who" }, 404],
    [{ action: "s3:GetObject", access_key: "x y" }, 404],
    [{ action: "s3:GetObject" }, 200],
  ])("the question %j is answered with %i", (body, status) => {
    expect(testPolicy(DESK, body).status).toBe(status);
  });

  test("the shape of a decision is kept for programs", () => {
    const question = { action: "s3:GetObject", access_key: "alice", bucket: "b", key: "k" };
    const values = { "s3:prefix": ["secret"] };
    const answers = [testPolicy(DESK, question), testPolicy(DESK, { ...question, values })];
    const golden = new URL("../../test/golden/control/policy-test.json", import.meta.url);
    const kept: unknown = JSON.parse(readFileSync(golden, "utf8"));
    expect(JSON.parse(JSON.stringify(answers.map(({ body }) => body)))).toEqual(kept);
  });
});
