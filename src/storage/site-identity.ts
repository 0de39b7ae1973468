import { parseHex, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { makeSiteKeyPair, type SiteKeyPair } from "../core/identity.ts";
import {
  type ClusterId,
  type OriginId,
  parseClusterId,
  parseOriginId,
  parseSiteId,
  type SiteId,
} from "../core/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";
import type { Withdrawn } from "./withdrawn.ts";
import {
  encodeWithdrawn,
  parseAll,
  parseWithdrawing,
  parseWithdrawn,
  type Withdrawing,
} from "./withdrawn-fields.ts";

/** A site that has withdrawn operations: a program that does not know of it must not open it. */
const FORMAT = 2;
/** Any other site. */
const FORMAT_PLAIN = 1;
/** Its presence makes a directory a site. */
export const SITE_FILE = "site.json";

/** Who this site is, from `site.json`. */
export type SiteIdentity = {
  /** The cluster as it is now: a site that joins another one changes it. */
  readonly clusterId: ClusterId;
  /** Clusters that the site belonged to before; older segments name them. */
  readonly formerClusterIds: readonly ClusterId[];
  readonly siteId: SiteId;
  readonly name: string;
  /** Where operations of this incarnation say they come from. */
  readonly origin: OriginId;
  /** From 1; greater by one whenever the data directory turns out to be a copy. */
  readonly incarnation: number;
  readonly keyPair: SiteKeyPair;
  readonly createdMs: number;
  /** Operations in the log that do not count. */
  readonly withdrawn: readonly Withdrawn[];
  /** Operations that the next start withdraws, and issues again, before anything else. */
  readonly withdrawing: Withdrawing | undefined;
};

export type SiteIdentityDeps = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
};

/**
 * Reads the identity of the site in this directory, or makes a new one. A directory that is a copy
 * of another gets a new origin before anything is written in it: two sites that both continued the
 * same log would each look like the other's past. `name` replaces the stored one when given.
 */
export async function openSiteIdentity(
  deps: SiteIdentityDeps,
  directory: string,
  name: string | undefined,
): Promise<SiteIdentity> {
  const path = `${directory}/${SITE_FILE}`;
  const place = await placeOf(deps.disk, directory);
  const stored = await readJsonFile(deps.disk, path, (value) => parseStored(path, value));
  if (stored === undefined) {
    const identity = makeIdentity(deps, name);
    await writeJsonFile(deps.disk, path, encode(identity, place));
    return identity;
  }
  const identity = { ...stored.identity, name: name ?? stored.identity.name };
  const isHere = stored.device === place.device && stored.inode === place.inode;
  // Whoever withdraws operations ends with a new incarnation as well.
  if ((isHere && !stored.originRetired) || identity.withdrawing !== undefined) {
    if (identity.name !== stored.identity.name) {
      await writeJsonFile(deps.disk, path, encode(identity, place));
    }
    return identity;
  }
  const renewed = { ...identity, ...nextIncarnation(identity, freshOrigin(deps.random)) };
  await writeJsonFile(deps.disk, path, encode(renewed, place));
  deps.log.warn(
    { origin: renewed.origin, incarnation: renewed.incarnation },
    stored.originRetired
      ? "the site was removed from its cluster: it continues as a new origin"
      : "the data directory is a copy or has moved to another disk: it continues as a new origin",
  );
  return renewed;
}

/**
 * Puts a site into another cluster, durably; `identity` says so from then on. What was written
 * before stays readable.
 */
export async function adoptCluster(
  disk: Disk,
  directory: string,
  identity: SiteIdentity,
  clusterId: ClusterId,
): Promise<void> {
  if (identity.clusterId === clusterId) return;
  const before = identity.formerClusterIds.filter((id) => id !== clusterId);
  const change = { clusterId, formerClusterIds: [...before, identity.clusterId] };
  const place = await placeOf(disk, directory);
  await writeJsonFile(disk, `${directory}/${SITE_FILE}`, encode({ ...identity, ...change }, place));
  Object.assign(identity, change);
}

/**
 * Has the site continue as a new origin from its next start on: its own was removed from the
 * cluster, and what that writes is not taken there any more.
 */
export async function retireOrigin(
  disk: Disk,
  directory: string,
  identity: SiteIdentity,
): Promise<void> {
  const place = await placeOf(disk, directory);
  const stored = { ...Object(encode(identity, place)), originRetired: true };
  await writeJsonFile(disk, `${directory}/${SITE_FILE}`, stored);
}

/**
 * Has the next start withdraw operations and issue them again as another incarnation, durably.
 * Undefined takes the wish back.
 */
export async function noteWithdrawing(
  disk: Disk,
  directory: string,
  identity: SiteIdentity,
  withdrawing: Withdrawing | undefined,
): Promise<SiteIdentity> {
  return writeIdentity(disk, directory, { ...identity, withdrawing });
}

/** Ends a withdrawal, durably: from now on the site is the incarnation that issued them again. */
export async function endWithdrawing(
  disk: Disk,
  directory: string,
  identity: SiteIdentity,
  { into, withdrawn }: { readonly into: OriginId; readonly withdrawn: readonly Withdrawn[] },
): Promise<SiteIdentity> {
  const next = { ...nextIncarnation(identity, into), withdrawn, withdrawing: undefined };
  return writeIdentity(disk, directory, { ...identity, ...next });
}

/** An id for another incarnation of a site. */
export function freshOrigin(random: Random): OriginId {
  return requireParsed(parseOriginId(toHex(random.bytes(8))));
}

async function writeIdentity(
  disk: Disk,
  directory: string,
  identity: SiteIdentity,
): Promise<SiteIdentity> {
  const place = await placeOf(disk, directory);
  await writeJsonFile(disk, `${directory}/${SITE_FILE}`, encode(identity, place));
  return identity;
}

function nextIncarnation({ incarnation }: SiteIdentity, origin: OriginId) {
  return { origin, incarnation: incarnation + 1 };
}

type Place = { readonly device: number; readonly inode: number };

async function placeOf(disk: Disk, directory: string): Promise<Place> {
  const facts = await disk.stat(directory);
  if (facts === undefined) throw new StorageFault("io", `${directory} has gone`);
  return { device: facts.device, inode: facts.inode };
}

function makeIdentity(deps: SiteIdentityDeps, name: string | undefined): SiteIdentity {
  const siteId = requireParsed(parseSiteId(toHex(deps.random.bytes(8))));
  return {
    clusterId: requireParsed(parseClusterId(toHex(deps.random.bytes(16)))),
    formerClusterIds: [],
    siteId,
    name: name ?? `site-${siteId.slice(0, 6)}`,
    origin: freshOrigin(deps.random),
    incarnation: 1,
    keyPair: makeSiteKeyPair(deps.random.bytes(32)),
    createdMs: deps.clock.nowMs(),
    withdrawn: [],
    withdrawing: undefined,
  };
}

function requireParsed<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new StorageFault("io", "the random source gave too few bytes");
  return value;
}

function encode(identity: SiteIdentity, place: Place): unknown {
  const { keyPair, formerClusterIds, withdrawn, withdrawing, ...rest } = identity;
  const isPlain = withdrawn.length === 0 && withdrawing === undefined;
  return {
    format: isPlain ? FORMAT_PLAIN : FORMAT,
    ...rest,
    ...(withdrawn.length > 0 && { withdrawn: withdrawn.map(encodeWithdrawn) }),
    ...(withdrawing !== undefined && { withdrawing }),
    ...(formerClusterIds.length > 0 && { formerClusterIds }),
    publicKey: keyPair.publicKey,
    privateKeySeed: keyPair.seed,
    ...place,
  };
}

function parseStored(
  path: string,
  value: unknown,
): (Place & { identity: SiteIdentity; originRetired: boolean }) | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const { name, incarnation, createdMs, device, inode } = fields;
  const clusterId = parseClusterId(String(fields["clusterId"]));
  const siteId = parseSiteId(String(fields["siteId"]));
  const origin = parseOriginId(String(fields["origin"]));
  const seed = parseHex(String(fields["privateKeySeed"]), 32);
  const formerClusterIds = parseAll(fields["formerClusterIds"] ?? [], (id) =>
    parseClusterId(String(id)),
  );
  if (clusterId === undefined || siteId === undefined || origin === undefined) return undefined;
  if (!isFormat(fields["format"]) || seed === undefined || typeof name !== "string") {
    return undefined;
  }
  const withdrawn = parseAll(fields["withdrawn"] ?? [], parseWithdrawn);
  const wish = fields["withdrawing"];
  const withdrawing = parseWithdrawing(wish);
  if (withdrawn === undefined || (wish !== undefined && withdrawing === undefined)) {
    return undefined;
  }
  if (formerClusterIds === undefined) return undefined;
  if (!isCount(incarnation) || !isCount(createdMs) || !isCount(device) || !isCount(inode)) {
    return undefined;
  }
  const keyPair = makeSiteKeyPair(seed);
  if (keyPair.publicKey !== fields["publicKey"]) return undefined;
  const ids = { clusterId, formerClusterIds, siteId, origin };
  const facts = { name, incarnation, keyPair, createdMs };
  const identity = { ...ids, ...facts, withdrawn, withdrawing };
  return { identity, device, inode, originRetired: fields["originRetired"] === true };
}

function isFormat(value: unknown): boolean {
  return value === FORMAT || value === FORMAT_PLAIN;
}

// Device numbers and inodes may pass 2^53 in theory; JSON and stat() lose the same digits.
function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
