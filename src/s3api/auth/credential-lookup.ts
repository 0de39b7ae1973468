import { type AccessKeyPair, accessKeyContext } from "../../core/access-key.ts";
import type { AccessKeyId } from "../../core/names.ts";
import type { AccessKeyRecord } from "../../core/records.ts";
import { type KeyRing, unsealSecret } from "../../core/seal.ts";
import type { Store } from "../../storage/store.ts";
import { readStoredPolicy } from "../policy/document.ts";
import type { Credential } from "./credentials.ts";

export type CredentialLookupDeps = {
  readonly store: Pick<Store, "accessKey">;
  readonly keyRing: KeyRing;
  /** Asked each time: the root key may be replaced while the server runs. */
  readonly rootKey: () => AccessKeyPair;
};

const CACHE_MAX = 1024;

/**
 * Finds the credential of an active key: undefined for unknown, disabled and deleted ones, and for
 * those whose secret cannot be read. Every look sees the latest acknowledged change; only opening
 * the secret and reading the policies is spared when nothing has changed.
 */
export function createCredentialLookup(
  deps: CredentialLookupDeps,
): (id: AccessKeyId) => Credential | undefined {
  const cache = new Map<AccessKeyId, { record: AccessKeyRecord; credential: Credential }>();
  let root = rootCredential(deps.rootKey());
  return (id) => {
    const pair = deps.rootKey();
    if (id === pair.id) {
      if (root.id !== id || root.secret !== pair.secret) root = rootCredential(pair);
      return root;
    }
    const record = deps.store.accessKey(id);
    if (record === undefined || record.state !== "active") return undefined;
    const known = cache.get(id);
    if (known !== undefined && isSame(known.record, record)) return known.credential;
    const credential = openCredential(deps.keyRing, record);
    if (credential === undefined) return undefined;
    if (cache.size >= CACHE_MAX) cache.clear();
    cache.set(id, { record: copyOf(record), credential });
    return credential;
  };
}

function rootCredential({ id, secret }: AccessKeyPair): Credential {
  return { id, secret, kind: "root", name: "root", policies: [] };
}

function openCredential(keyRing: KeyRing, record: AccessKeyRecord): Credential | undefined {
  const { id, name } = record;
  const secret = unsealSecret(keyRing, record.sealedSecret, accessKeyContext(id));
  if (secret === undefined) return undefined;
  return {
    id,
    secret: Buffer.from(secret).toString("utf8"),
    kind: "user",
    name,
    policies: record.policies.map(([policy, json]) => readStoredPolicy(json, "identity", policy)),
  };
}

// A stored record may share memory with the index, which changes under it.
function copyOf(record: AccessKeyRecord): AccessKeyRecord {
  return { ...record, sealedSecret: Buffer.from(record.sealedSecret) };
}

function isSame(left: AccessKeyRecord, right: AccessKeyRecord): boolean {
  return (
    Buffer.compare(left.sealedSecret, right.sealedSecret) === 0 &&
    left.name === right.name &&
    left.policies.length === right.policies.length &&
    left.policies.every(([name, json], at) => {
      const other = right.policies[at];
      return other !== undefined && other[0] === name && other[1] === json;
    })
  );
}
