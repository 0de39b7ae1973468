import { parseHex, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Disk } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";

const FORMAT = 1;
const FILE_NAME = "cluster-key.json";
const KEY_BYTES = 32;
const FIRST_KEY_ID = "1";

/**
 * Reads the keys of this site's cluster, or makes the first one for a site that is being created.
 * Rejects with StorageFault "corrupt" when a site that exists has lost them.
 */
export async function openKeyRing(
  deps: { readonly disk: Disk; readonly random: Random },
  directory: string,
  siteExists: boolean,
): Promise<KeyRing> {
  const path = `${directory}/${FILE_NAME}`;
  const stored = await readJsonFile(deps.disk, path, (value) => parseKeys(path, value));
  if (stored !== undefined) return stored;
  if (siteExists) {
    throw new StorageFault("corrupt", `${path} is missing, and stored secrets are sealed with it`, {
      hint: "Bring the file back from a copy of the data directory, or from another site.",
    });
  }
  const made: KeyRing = {
    current: FIRST_KEY_ID,
    keys: new Map([[FIRST_KEY_ID, deps.random.bytes(KEY_BYTES)]]),
  };
  await writeJsonFile(deps.disk, path, encode(made));
  return made;
}

function encode(ring: KeyRing): unknown {
  const keys = Object.fromEntries([...ring.keys].map(([id, key]) => [id, toHex(key)]));
  return { format: FORMAT, current: ring.current, keys };
}

function parseKeys(path: string, value: unknown): KeyRing | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const stored = asFields(fields["keys"]);
  const { current } = fields;
  if (fields["format"] !== FORMAT || stored === undefined || typeof current !== "string") {
    return undefined;
  }
  const keys = new Map<string, Uint8Array>();
  for (const [id, text] of Object.entries(stored)) {
    const key = parseHex(String(text), KEY_BYTES);
    if (key === undefined) return undefined;
    keys.set(id, key);
  }
  return keys.has(current) ? { current, keys } : undefined;
}
