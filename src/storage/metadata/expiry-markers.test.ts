import { expect, test } from "vitest";
import {
  ApplySite,
  BUCKET,
  hlcAt,
  KEYS,
  meet,
  mixLogs,
  ORIGINS,
  objectOf,
} from "../../../test/support/apply-sites.ts";
import { fc } from "../../../test/support/properties.ts";
import { parseHlc } from "../../core/hlc.ts";
import { makeVersionId } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { newestVersion, versionById, versionsEnd, versionsStart } from "./key-versions.ts";
import { TABLES } from "./rows.ts";

const NAME = { bucket: BUCKET, key: required(KEYS[0], "key") };
const PLACE = required(parseHlc(hlcAt(1) + 1n), "reading");

/** Versions that are there, as origin and reading, with what they are. */
function versionsOf(site: ApplySite): string[] {
  const older = site.view.rows(TABLES.version, versionsStart(NAME), versionsEnd(NAME));
  const newest = newestVersion(site.view, NAME);
  const all = older.map(({ row }) => row);
  if (newest?.current === true) all.unshift(newest);
  return all.map(({ kind, row }) => `${kind} ${row.stamp.hlc} ${row.stamp.origin}`);
}

/** Sites that each expire the version, delete markers, or write anew beside each other. */
const steps = fc.array(
  fc.tuple(fc.nat(2), fc.constantFrom("expire", "remove", "put", "hear" as const), fc.nat(2)),
  { maxLength: 12 },
);

test("a version that several sites expire has one marker, in whatever order they come", () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (list, choose) => {
      const sites = ORIGINS.map((origin) => new ApplySite(origin));
      const [first] = sites;
      const put = { kind: "object-put", ...NAME, nullSlot: false } as const;
      first?.write(1, { ...put, object: objectOf(0) });
      for (const site of sites) site.hearAll(required(first, "site"));
      for (const [index, [who, kind, of]] of list.entries()) {
        const site = required(sites[who], "site");
        const tick = index + 2;
        if (kind === "hear") site.hearAll(required(sites[of], "site"));
        else if (kind === "put") site.write(tick, { ...put, object: objectOf(tick) });
        else if (kind === "expire") {
          const body = { kind: "object-delete", ...NAME, nullSlot: false } as const;
          site.write(tick, { ...body, nullMarker: false, deletedMs: tick, standsAt: PLACE });
        } else {
          const origin = required(ORIGINS[of], "origin");
          if (versionById(site.view, NAME, { hlc: PLACE, origin }) === undefined) continue;
          const version = makeVersionId(PLACE, origin);
          site.write(tick, { kind: "version-delete", ...NAME, version });
        }
      }
      meet(sites);
      const { reader } = mixLogs(sites, choose);
      const found = versionsOf(reader);
      for (const site of sites) expect(versionsOf(site)).toEqual(found);
      expect(found.filter((text) => text.startsWith("marker")).length).toBeLessThanOrEqual(1);
      reader.dropDead();
      expect(reader.rowsAfterRebuild()).toEqual(reader.rows());
    }),
    { numRuns: 300 },
  );
});
