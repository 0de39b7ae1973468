import { expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimDisk } from "../../test/sim/sim-disk.ts";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { HLC_ZERO } from "../core/hlc.ts";
import { parseClusterId, parseOriginId, parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { CommitLane } from "./commit-lane.ts";
import { FooterBuilder } from "./segment/footer.ts";
import { Segments } from "./segment/segments.ts";

const MIB = 1024 ** 2;
const OWNER = {
  clusterId: required(parseClusterId("00112233445566778899aabbccddeeff"), "cluster"),
  formerClusterIds: [],
  siteId: required(parseSiteId("0123456789abcdef"), "site"),
  origin: required(parseOriginId("fedcba9876543210"), "origin"),
};

/** A lane whose segments may have so many bytes, and what is known of them. */
async function openLane(segmentBytes: number): Promise<{ lane: CommitLane; segments: Segments }> {
  const disk = new SimDisk(new Seed("lane"), { directories: ["/segments"] });
  const hash = await createInlineHash();
  const place = { directory: "/segments", owner: OWNER, writeMode: "buffered" } as const;
  const segments = new Segments({ disk, hash, ...place });
  const lane = await CommitLane.open(
    {
      ...{ disk, segments, segmentBytes },
      makeFooter: ({ id: segmentId }) =>
        new FooterBuilder({ segmentId, origin: OWNER.origin, crc: hash.crc32 }),
      seal: () => undefined,
    },
    HLC_ZERO,
    undefined,
  );
  return { lane, segments };
}

test.each([
  ["its size is reached", 16 * MIB, 16 * MIB],
  ["offsets of its records might not fit 32 bits, whatever its size", 4096 * MIB, 3840 * MIB],
])("a segment is followed by another one when %s", async (_why, segmentBytes, end) => {
  const { lane, segments } = await openLane(segmentBytes);
  const first = required(segments.facts.get(lane.currentSegment), "facts");
  // As if so much had been written.
  first.sizeBytes = end - 4096;
  expect(lane.position(HLC_ZERO)).toMatchObject({ segment: first.id, offset: end - 4096 });
  await lane.prepareRoll(HLC_ZERO);
  await new Promise((resolve) => setImmediate(resolve));
  expect(lane.position(HLC_ZERO).segment).toBe(first.id);
  first.sizeBytes = end;
  expect(lane.position(HLC_ZERO)).toMatchObject({ segment: first.id + 1, number: 0 });
  await lane.close();
  await segments.close();
});
