import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { ClusterId, OriginId } from "../core/names.ts";
import type { Disk, ReadFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogSegment } from "./replay.ts";
import { FOOTER_TRAILER_BYTES } from "./segment/footer-layout.ts";
import { decodeFooterTrailer } from "./segment/footer-reader.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment/header.ts";
import { parseSegmentName, type SegmentOwner, segmentName } from "./segment/segments.ts";

export type FoundSegments = {
  /** Commit-lane segments in the order of the log. */
  readonly log: readonly LogSegment[];
  readonly bulk: ReadonlyArray<LogSegment["facts"]>;
  /**
   * The owners of the segments: this site's origin and, after a restored backup, those before it.
   */
  readonly origins: ReadonlySet<OriginId>;
};

export type DiscoveryDeps = {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly directory: string;
  readonly owner: SegmentOwner;
};

/**
 * Reads the header and the trailer of every segment file. The newest file may be unfinished (a
 * crash while it was made, before anything was written to it): it is removed.
 *
 * @throws StorageFault "corrupt" for any other file without a whole header, "unsupported" for one
 *   of an unknown format or another cluster.
 */
export async function discoverSegments(deps: DiscoveryDeps): Promise<FoundSegments> {
  const names = await deps.disk.list(deps.directory);
  const ids = names
    .map(parseSegmentName)
    .filter((id) => id !== undefined)
    .sort((left, right) => left - right);
  const log: LogSegment[] = [];
  const bulk: LogSegment["facts"][] = [];
  const origins = new Set<OriginId>();
  for (const id of ids) {
    const found = await readSegment(deps, id, id === ids.at(-1));
    if (found === undefined) continue;
    origins.add(found.origin);
    if (found.lane === "commit") log.push(found.segment);
    else bulk.push(found.segment.facts);
  }
  return { log, bulk, origins };
}

type FoundSegment = Pick<SegmentHeader, "lane" | "origin"> & { readonly segment: LogSegment };

async function readSegment(
  deps: DiscoveryDeps,
  id: number,
  newest: boolean,
): Promise<FoundSegment | undefined> {
  const path = `${deps.directory}/${segmentName(id)}`;
  const file = await deps.disk.openRead(path);
  try {
    const sizeBytes = await file.sizeBytes();
    const header = await readHeader(deps, file, id);
    if (header === undefined) {
      if (newest && sizeBytes <= LIMITS.pageBytes) {
        await deps.disk.remove(path);
        await deps.disk.syncDirectory(deps.directory);
        return undefined;
      }
      throw new StorageFault("corrupt", `segment ${id} has a damaged header`, {
        hint: "Restore the file from a backup, or this site from another one.",
      });
    }
    const footerAt = await readFooterOffset(deps, file, { id, sizeBytes });
    const { lane, origin } = header;
    const facts = { id, lane, sizeBytes, sealed: footerAt !== undefined };
    return { lane, origin, segment: { facts, batchesEnd: footerAt ?? sizeBytes } };
  } finally {
    await file.close();
  }
}

async function readHeader(
  deps: DiscoveryDeps,
  file: ReadFile,
  id: number,
): Promise<SegmentHeader | undefined> {
  const page = Buffer.alloc(LIMITS.pageBytes);
  await file.read(page, 0);
  const decoded = decodeSegmentHeader(page, deps.hash.crc32);
  switch (decoded.outcome) {
    case "damaged":
      return undefined;
    case "unsupported":
      throw new StorageFault("unsupported", `segment ${id} has format ${decoded.version}`, {
        hint: "A newer release of Atoll wrote it: run that release or a later one.",
      });
    case "header":
      if (decoded.header.segmentId !== id) return undefined;
      if (isOwn(deps.owner, decoded.header.clusterId)) return decoded.header;
      throw new StorageFault("unsupported", `segment ${id} belongs to another cluster`, {
        hint: "Move the file out of the segments directory; it was never part of this site.",
      });
  }
}

/** A site that joined another cluster keeps what it wrote before. */
function isOwn(owner: SegmentOwner, clusterId: ClusterId): boolean {
  return owner.clusterId === clusterId || owner.formerClusterIds.includes(clusterId);
}

/** Where the footer of a segment begins; undefined when it is not sealed. */
export async function readFooterOffset(
  deps: Pick<DiscoveryDeps, "hash">,
  file: ReadFile,
  { id, sizeBytes }: { id: number; sizeBytes: number },
): Promise<number | undefined> {
  if (sizeBytes < LIMITS.pageBytes + FOOTER_TRAILER_BYTES) return undefined;
  const last = Buffer.alloc(FOOTER_TRAILER_BYTES);
  await file.read(last, sizeBytes - FOOTER_TRAILER_BYTES);
  const expected = { segmentId: id, fileBytes: sizeBytes };
  const decoded = decodeFooterTrailer(last, expected, deps.hash.crc32);
  // A damaged trailer only costs the footer: the segment counts as open and is sealed again.
  return decoded.outcome === "trailer" ? decoded.trailer.footerOffset : undefined;
}
