import { describe, expect, test } from "vitest";
import { ACCESS_KEY_RANDOM_BYTES, makeAccessKeyPair } from "../core/access-key.ts";
import type { AccessKeyId } from "../core/names.ts";
import type { AccessKeyRecord } from "../core/records.ts";
import type { BodySink, Exchange } from "../http/exchange.ts";
import { cryptoRandom } from "../ports/crypto-random.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { Store } from "../storage/store.ts";
import { type AdminDeps, createAdminApi } from "./admin.ts";
import { createAdminHandler } from "./admin-handler.ts";

/** As much of a store as keys need. */
function keyStore() {
  const records = new Map<AccessKeyId, AccessKeyRecord>();
  const store = {
    accessKey: (id: AccessKeyId) => records.get(id),
    accessKeys: () => records.values(),
    putAccessKey: async (record: AccessKeyRecord) => {
      // A commit takes its time, and what was removed stays so.
      await new Promise((resolve) => setImmediate(resolve));
      if (records.get(record.id)?.state !== "revoked") records.set(record.id, record);
    },
    stats: () => ({
      objects: 1,
      bytes: 2,
      multipartUploads: 0,
      segments: { count: 1 },
      commit: { directIo: false },
    }),
  } as unknown as Store;
  return { store, records };
}

function adminWith(changes: Partial<AdminDeps> = {}) {
  const { store, records } = keyStore();
  const identity = { siteId: "s", name: "berlin", clusterId: "c", incarnation: 1 };
  let rootKey = { id: "ATOLROOT" as string, secret: "canary-root-1" };
  const api = createAdminApi({
    clock: systemClock,
    random: cryptoRandom,
    version: "0.1.0",
    state: () => "serving",
    site: () => ({ store, identity }) as unknown as ReturnType<AdminDeps["site"]>,
    describe: () => ({ endpoint: "http://127.0.0.1:9000" }),
    settings: () => [{ name: "region", value: "us-east-1", source: "default" }],
    seal: (id, secret) => Buffer.from(`sealed ${id} ${secret.length}`),
    policyOf: (grant, buckets) => JSON.stringify({ grant, buckets }),
    policies: {
      problemOf: (json, bucket) =>
        json.includes("wrong") ? `it is wrong for ${bucket ?? "keys"}` : undefined,
      judge: ({ accessKey, action }) =>
        accessKey === "nobody"
          ? undefined
          : { allowed: action === "s3:GetObject", reason: "no-allow", statement: undefined },
    },
    replication: () => undefined,
    rootKey: {
      source: () => "file",
      show: () => rootKey as ReturnType<AdminDeps["rootKey"]["show"]>,
      rotate: async () => {
        rootKey = { id: "ATOLROOT2", secret: "canary-root-2" };
        return rootKey as ReturnType<AdminDeps["rootKey"]["show"]>;
      },
    },
    ...changes,
  });
  const call = (method: string, path: string, body?: unknown) =>
    api.call({ method, path: `/v1/admin/${path}`, body });
  return { api, call, records };
}

describe("access keys", () => {
  test("are created with a secret that is shown once and stored sealed", async () => {
    const { call, records } = adminWith();
    const created = await call("POST", "keys", { grants: ["read-write"], buckets: ["photos"] });
    expect(created.status).toBe(201);
    const { access_key: id, secret_key: secret } = created.body;
    expect(secret).toMatch(/^[A-Za-z0-9._]{40}$/);
    const [record] = records.values();
    expect(Buffer.from(record?.sealedSecret ?? []).toString()).toBe(`sealed ${id} 40`);
    const shown = await call("GET", `keys/${id}`);
    expect(shown.body).toMatchObject({
      access_key: id,
      state: "active",
      grants: ["read-write on photos"],
      policies: { "read-write on photos": { grant: "read-write", buckets: ["photos"] } },
    });
    expect(JSON.stringify([shown, await call("GET", "keys")])).not.toContain(String(secret));
  });

  test("may have a policy of their own in place of grants, or beside them", async () => {
    const { call } = adminWith();
    const policy = { Statement: [] };
    const alone = await call("POST", "keys", { policy });
    expect(alone).toMatchObject({ status: 201, body: { grants: ["policy"] } });
    const both = await call("POST", "keys", { grants: ["read"], policy });
    expect(both.body["grants"]).toEqual(["read", "policy"]);
    const shown = await call("GET", `keys/${String(alone.body["access_key"])}/policies/policy`);
    expect(shown.body["policy"]).toEqual(policy);
  });

  test("may be brought along, once", async () => {
    const { call } = adminWith();
    const key = { access_key: "minioadmin", secret_key: "minio-secret", grants: ["admin"] };
    expect((await call("POST", "keys", key)).body).toMatchObject({ secret_key: "minio-secret" });
    expect((await call("POST", "keys", key)).status).toBe(409);
  });

  test("are never given the id of one that was deleted", async () => {
    const { call, records } = adminWith();
    const key = { access_key: "alice", secret_key: "alice-secret", grants: ["read"] };
    await call("POST", "keys", key);
    await call("DELETE", "keys/alice");
    expect(await call("POST", "keys", key)).toMatchObject({
      status: 409,
      body: { error: { message: expect.stringContaining("deleted") } },
    });
    expect([...records.values()].map(({ state }) => state)).toEqual(["revoked"]);
  });

  test("that are changed in several ways at once have all of the changes", async () => {
    const { call } = adminWith();
    const policy = { Statement: [] };
    const key = { access_key: "alice", secret_key: "alice-secret", policy };
    const asked = [
      call("POST", "keys", key),
      call("POST", "keys", { ...key, secret_key: "another-secret" }),
      call("PUT", "keys/alice/policies/one", { policy }),
      call("POST", "keys/alice/disable"),
      call("PUT", "keys/alice/policies/two", { policy }),
      call("DELETE", "keys/alice/policies/policy"),
    ];
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses).toEqual([201, 409, 200, 200, 200, 200]);
    expect((await call("GET", "keys/alice")).body).toMatchObject({
      state: "disabled",
      grants: ["one", "two"],
    });
  });

  test("are changed also behind a change that failed", async () => {
    const { call } = adminWith({ policyOf: () => expect.unreachable("no such grant") });
    const failed = call("POST", "keys", { grants: ["read"] });
    const asked = call("POST", "keys", { policy: { Statement: [] } });
    await expect(failed).rejects.toThrow("no such grant");
    expect((await asked).status).toBe(201);
  });

  test("are disabled, enabled and deleted; what is deleted is gone for everybody", async () => {
    const { call, records } = adminWith();
    await call("POST", "keys", {
      access_key: "alice",
      secret_key: "alice-secret",
      grants: ["read"],
    });
    expect((await call("POST", "keys/alice/disable")).body).toMatchObject({ state: "disabled" });
    expect((await call("POST", "keys/alice/enable")).body).toMatchObject({ state: "active" });
    expect((await call("DELETE", "keys/alice")).body).toMatchObject({ state: "revoked" });
    expect([...records.values()][0]).toMatchObject({ policies: [], state: "revoked" });
    expect([...records.values()][0]?.sealedSecret).toHaveLength(0);
    expect((await call("GET", "keys")).body).toEqual({ keys: [] });
    for (const [method, path] of [
      ["GET", "keys/alice"],
      ["POST", "keys/alice/enable"],
      ["DELETE", "keys/alice"],
    ] as const) {
      expect((await call(method, path)).status).toBe(404);
    }
  });

  test.each([
    [{ grants: [] }, "At least one grant"],
    [{ policy: { is: "wrong" } }, "That policy cannot be used: it is wrong for keys"],
    [{ policy: "text" }, "policy"],
    [{ grants: ["rwx"] }, "is one of read, write"],
    [{}, "At least one grant"],
    [undefined, "At least one grant"],
    [{ grants: ["read"], admin: true }, "has nothing called admin"],
    [
      JSON.parse('{"grants": ["read"], "__proto__": {"name": "x"}}'),
      "has nothing called __proto__",
    ],
    [{ grants: ["read"], buckets: ["No_Bucket"] }, "is not a bucket name"],
    [{ grants: ["admin"], buckets: ["photos"] }, "for the whole site"],
    [{ grants: ["read"], access_key: "alice" }, "both the access key and its secret"],
    [{ grants: ["read"], access_key: "a", secret_key: "long-enough" }, "3 to 128"],
    [{ grants: ["read"], access_key: "alice", secret_key: "short" }, "at least 8"],
  ])("are refused when asked for wrongly: %j", async (body, says) => {
    const { call, records } = adminWith();
    const refused = await call("POST", "keys", body);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain(says);
    expect(records.size).toBe(0);
  });

  test.each([
    ["GET", "keys/%E0%A4%A", 404],
    ["GET", "keys/../status", 405],
    ["PATCH", "keys", 405],
    ["POST", "keys/alice", 405],
    ["GET", "nothing", 404],
    ["GET", "keysx", 404],
  ])("%s %s answers %i", async (method, path, status) => {
    expect((await adminWith().call(method, path)).status).toBe(status);
  });
});

describe("the site's administration", () => {
  test("tells the status, also while the site is still being opened", async () => {
    expect((await adminWith().call("GET", "status")).body).toMatchObject({
      version: "0.1.0",
      state: "serving",
      endpoint: "http://127.0.0.1:9000",
      site: { name: "berlin" },
      objects: 1,
    });
    const { call } = adminWith({ site: () => undefined, state: () => "recovering" });
    expect((await call("GET", "status")).body).toMatchObject({ state: "recovering" });
    expect((await call("GET", "keys")).status).toBe(503);
  });

  test("shows and rotates the root key, unless it comes from the settings", async () => {
    const { call } = adminWith();
    expect((await call("GET", "root-key")).body).toMatchObject({ secret_key: "canary-root-1" });
    expect((await call("POST", "root-key/rotate")).body).toMatchObject({
      secret_key: "canary-root-2",
    });
    const rootKey = {
      source: () => "settings" as const,
      show: () => makeAccessKeyPair(cryptoRandom.bytes(ACCESS_KEY_RANDOM_BYTES)),
      rotate: () => Promise.reject(new Error("must not be called")),
    };
    expect((await adminWith({ rootKey }).call("POST", "root-key/rotate")).status).toBe(409);
  });
});

describe("the admin socket", () => {
  /** Sends one request through the handler and gives what it answers. */
  function post(text: string, path = "/v1/admin/keys", failures: unknown[] = []) {
    const { api } = adminWith();
    const handler = createAdminHandler(api, (failure) => failures.push(failure));
    return new Promise<{ status: number; body: unknown }>((resolve) => {
      handler({
        method: "POST",
        target: path,
        receive(sink: BodySink) {
          for (let at = 0; at < text.length; at += 65_536) {
            sink.data(Buffer.from(text.slice(at, at + 65_536)));
          }
          sink.end();
        },
        send: (status: number, _headers: unknown, body: string) =>
          resolve({ status, body: JSON.parse(body) }),
      } as unknown as Exchange);
    });
  }

  test("speaks JSON with a schema version", async () => {
    const { status, body } = await post('{"grants":["read"]}');
    expect(status).toBe(201);
    expect(body).toMatchObject({ schema_version: 1, grants: ["read"] });
  });

  test.each([
    ["{", 400],
    [`"${"x".repeat(1024 * 1024)}"`, 413],
    ["[]", 400],
  ])("refuses what is no request", async (text, status) => {
    expect((await post(text)).status).toBe(status);
  });
});
