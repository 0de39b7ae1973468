import { describe, expect, test } from "vitest";
import { accessKeyContext } from "../../core/access-key.ts";
import { grantPolicy } from "../../core/grants.ts";
import { type AccessKeyId, parseAccessKeyId } from "../../core/names.ts";
import type { AccessKeyRecord } from "../../core/records.ts";
import { type KeyRing, sealSecret } from "../../core/seal.ts";
import { createCredentialLookup } from "./credential-lookup.ts";

const keyRing: KeyRing = { current: "1", keys: new Map([["1", new Uint8Array(32).fill(7)]]) };

function idOf(text: string): AccessKeyId {
  const id = parseAccessKeyId(text);
  if (id === undefined) throw new Error("the test's own id is wrong");
  return id;
}

const ROOT = { id: idOf("ROOTKEY"), secret: "root-secret" };
const ALICE = idOf("alice");

function recordOf(id: AccessKeyId, secret: string): AccessKeyRecord {
  const sealedSecret = sealSecret(
    keyRing,
    Buffer.from(secret),
    accessKeyContext(id),
    Buffer.alloc(12, secret),
  );
  return {
    ...{ id, sealedSecret, state: "active", name: "Alice", createdMs: 0 },
    policies: [["read", grantPolicy("read", [])]],
  };
}

function lookupIn(records: Map<AccessKeyId, AccessKeyRecord>, root = () => ROOT) {
  const store = { accessKey: (id: AccessKeyId) => records.get(id) };
  return createCredentialLookup({ store, keyRing, rootKey: root });
}

describe("looking up a credential", () => {
  test("opens the sealed secret and reads the policies, once", () => {
    const records = new Map([[ALICE, recordOf(ALICE, "alice-secret")]]);
    const lookup = lookupIn(records);
    const found = lookup(ALICE);
    expect(found).toMatchObject({ secret: "alice-secret", kind: "user", name: "Alice" });
    expect(found?.policies).toHaveLength(1);
    records.set(ALICE, recordOf(ALICE, "alice-secret"));
    expect(lookup(ALICE)).toBe(found);
  });

  test("sees every change at once", () => {
    const records = new Map([[ALICE, recordOf(ALICE, "alice-secret")]]);
    const lookup = lookupIn(records);
    lookup(ALICE);
    records.set(ALICE, recordOf(ALICE, "new-secret"));
    expect(lookup(ALICE)?.secret).toBe("new-secret");
    records.set(ALICE, { ...recordOf(ALICE, "new-secret"), policies: [] });
    expect(lookup(ALICE)?.policies).toEqual([]);
    for (const state of ["disabled", "revoked"] as const) {
      records.set(ALICE, { ...recordOf(ALICE, "new-secret"), state });
      expect(lookup(ALICE)).toBeUndefined();
    }
    records.delete(ALICE);
    expect(lookup(ALICE)).toBeUndefined();
  });

  test("finds nothing for a secret that was sealed for another key", () => {
    const mallory = idOf("mallory");
    const moved = { ...recordOf(ALICE, "alice-secret"), id: mallory };
    expect(lookupIn(new Map([[mallory, moved]]))(mallory)).toBeUndefined();
  });

  test("asks for the root key each time, and nobody can take its place", () => {
    let root = ROOT;
    const lookup = lookupIn(new Map([[ROOT.id, recordOf(ROOT.id, "impostor")]]), () => root);
    expect(lookup(ROOT.id)).toMatchObject({ secret: "root-secret", kind: "root" });
    root = { id: ROOT.id, secret: "rotated-secret" };
    expect(lookup(ROOT.id)?.secret).toBe("rotated-secret");
  });
});
