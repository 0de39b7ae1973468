import { compareBytes, parseHex, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Disk } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";
import { Line } from "./line.ts";

const FORMAT = 1;
const FILE_NAME = "cluster-key.json";
const KEY_BYTES = 32;
const FIRST_KEY_ID = "1";

/**
 * Each site may have made the last key of a full ring, and other sites must be able to read what it
 * sealed: so a ring may grow beyond its limit by keys of peers. A peer that floods it is refused
 * all the same.
 */
const MERGED_KEYS_MAX = 2 * LIMITS.keyRingKeysMax;

type ClusterKeysDeps = { readonly disk: Disk; readonly random: Random };

/** The key ring of this site's cluster, as it stands in its file at every moment. */
export class ClusterKeys implements KeyRing {
  readonly #deps: ClusterKeysDeps;
  readonly #path: string;
  #ring: KeyRing;
  #maker: SiteId | undefined;
  readonly #changes = new Line();

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

  get former(): readonly KeyRing[] {
    return this.#ring.former ?? [];
  }

  /**
   * Makes a new key and seals with it from now on; the old ones stay, to read what they sealed.
   * Resolves with its id when it is durable: nothing is sealed with a key that could be lost.
   * Rejects with StorageFault "unsupported" when the ring is full, and as Disk does.
   */
  rotate(): Promise<string> {
    return this.#changes.run(() => this.#addKey());
  }

  /**
   * Seals with the ring of another cluster from now on, and keeps the former ring for what it
   * sealed. Resolves when that is durable; adopting the same ring again changes nothing.
   */
  adopt(ring: KeyRing): Promise<void> {
    return this.#changes.run(() => this.#adopt(ring));
  }

  async #adopt({ current, keys }: KeyRing): Promise<void> {
    const { former = [], ...until } = this.#ring;
    if (isWithin({ current, keys }, until)) return;
    const next: KeyRing = { current, keys, former: [...former, until] };
    await writeJsonFile(this.#deps.disk, this.#path, encode(next));
    this.#ring = next;
  }

  /** Keys made here carry this site's name from now on, because other sites make keys too. */
  share(site: SiteId): void {
    this.#maker = site;
  }

  /**
   * Adds keys that another site of the cluster made; the latest of all becomes current. A key whose
   * name is known is ignored. Resolves with whether anything was new.
   */
  merge(ring: KeyRing): Promise<boolean> {
    return this.#changes.run(() => this.#merge(ring));
  }

  async #merge({ keys }: KeyRing): Promise<boolean> {
    const { former = [] } = this.#ring;
    const all = new Map([...keys, ...this.#ring.keys]);
    if (all.size === this.#ring.keys.size || all.size > MERGED_KEYS_MAX) return false;
    const current = [...all.keys()].reduce(laterKeyId);
    const next: KeyRing = { current, keys: all, former };
    await writeJsonFile(this.#deps.disk, this.#path, encode(next));
    this.#ring = next;
    return true;
  }

  async #addKey(): Promise<string> {
    const { keys } = this.#ring;
    if (keys.size >= LIMITS.keyRingKeysMax) {
      throw new StorageFault("unsupported", `the key ring holds ${keys.size} keys already`);
    }
    const last = Math.max(0, ...[...keys.keys()].map(keyNumber));
    const key = this.#deps.random.bytes(KEY_BYTES);
    const current = this.#maker === undefined ? `${last + 1}` : `${last + 1}-${this.#maker}`;
    const ring: KeyRing = { ...this.#ring, current, keys: new Map([...keys, [current, key]]) };
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

/** The number in front of a key's name; keys are numbered as they are made. */
function keyNumber(id: string): number {
  const number = Number(id.replace(/-.*$/, ""));
  return Number.isSafeInteger(number) ? number : 0;
}

function laterKeyId(left: string, right: string): string {
  const [one, other] = [keyNumber(left), keyNumber(right)];
  if (one !== other) return one > other ? left : right;
  return left > right ? left : right;
}

function isWithin(ring: KeyRing, known: KeyRing): boolean {
  return [...ring.keys].every(([id, key]) => {
    const same = known.keys.get(id);
    return same !== undefined && compareBytes(same, key) === 0;
  });
}

function encode({ former = [], ...ring }: KeyRing): unknown {
  return {
    format: FORMAT,
    ...encodeRing(ring),
    ...(former.length > 0 && { former: former.map(encodeRing) }),
  };
}

function encodeRing({ current, keys }: KeyRing) {
  return { current, keys: Object.fromEntries([...keys].map(([id, key]) => [id, toHex(key)])) };
}

function parseKeys(path: string, value: unknown): KeyRing | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  if (fields["format"] !== FORMAT) return undefined;
  const { former = [] } = fields;
  if (!Array.isArray(former)) return undefined;
  const rings = former.map(parseRing).filter((ring) => ring !== undefined);
  const ring = parseRing(fields);
  if (ring === undefined || rings.length < former.length) return undefined;
  return rings.length === 0 ? ring : { ...ring, former: rings };
}

function parseRing(value: unknown): KeyRing | undefined {
  const fields = asFields(value);
  const stored = asFields(fields?.["keys"]);
  const current = fields?.["current"];
  if (stored === undefined || typeof current !== "string") return undefined;
  const keys = new Map<string, Uint8Array>();
  for (const [id, text] of Object.entries(stored)) {
    const key = parseHex(String(text), KEY_BYTES);
    if (key === undefined) return undefined;
    keys.set(id, key);
  }
  return keys.has(current) ? { current, keys } : undefined;
}
