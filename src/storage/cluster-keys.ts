import { parseHex, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Disk } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";

const FORMAT = 1;
const FILE_NAME = "cluster-key.json";
const KEY_BYTES = 32;
const FIRST_KEY_ID = "1";

type ClusterKeysDeps = { readonly disk: Disk; readonly random: Random };

/** The key ring of this site's cluster, as it stands in its file at every moment. */
export class ClusterKeys implements KeyRing {
  readonly #deps: ClusterKeysDeps;
  readonly #path: string;
  #ring: KeyRing;
  /** Rotations are written one after the other. Never rejects. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(deps: ClusterKeysDeps, path: string, ring: KeyRing) {
    this.#deps = deps;
    this.#path = path;
    this.#ring = ring;
  }

  get current(): string {
    return this.#ring.current;
  }

  get keys(): ReadonlyMap<string, Uint8Array> {
    return this.#ring.keys;
  }

  /**
   * Makes a new key and seals with it from now on; the old ones stay, to read what they sealed.
   * Resolves with its id when it is durable: nothing is sealed with a key that could be lost.
   * Rejects with StorageFault "unsupported" when the ring is full, and as Disk does.
   */
  rotate(): Promise<string> {
    const rotated = this.#writing.then(() => this.#addKey());
    this.#writing = rotated.catch(() => undefined);
    return rotated;
  }

  async #addKey(): Promise<string> {
    const { keys } = this.#ring;
    if (keys.size >= LIMITS.keyRingKeysMax) {
      throw new StorageFault("unsupported", `the key ring holds ${keys.size} keys already`);
    }
    const numbers = [...keys.keys()].map(Number).filter(Number.isSafeInteger);
    const current = String(Math.max(0, ...numbers) + 1);
    const ring = {
      current,
      keys: new Map([...keys, [current, this.#deps.random.bytes(KEY_BYTES)]]),
    };
    await writeJsonFile(this.#deps.disk, this.#path, encode(ring));
    this.#ring = ring;
    return current;
  }
}

/**
 * Reads the keys of this site's cluster, or makes the first one for a site that is being created.
 * Rejects with StorageFault "corrupt" when a site that exists has lost them.
 */
export async function openKeyRing(
  deps: ClusterKeysDeps,
  directory: string,
  siteExists: boolean,
): Promise<ClusterKeys> {
  const path = `${directory}/${FILE_NAME}`;
  const stored = await readJsonFile(deps.disk, path, (value) => parseKeys(path, value));
  if (stored !== undefined) return new ClusterKeys(deps, path, stored);
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
  return new ClusterKeys(deps, path, made);
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
