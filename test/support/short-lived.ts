import { expect } from "vitest";
import type { ObjectKey } from "../../src/core/names.ts";
import { PLAIN } from "./remote-sites.ts";
import type { SimSite } from "./sim-site.ts";

const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };
const PART = { partNumber: 1, etag: "0".repeat(32), checksums: [] };

/** An object that is uploaded in parts, and deleted: only the result of its upload stays. */
export async function uploadAndDelete({ store }: SimSite, key: ObjectKey): Promise<void> {
  const at = { bucket: PLAIN, key };
  const asked = { ...at, initiator: "i", attributes: ATTRIBUTES, encryption: undefined };
  const begun = await store.createUpload({ ...asked, checksum: undefined });
  if (begun.outcome !== "created") throw new Error(begun.outcome);
  const { uploadId } = begun.upload;
  const writer = await store.stageBody();
  await writer.write(Buffer.from("part"));
  const body = { kind: "staged", staged: await writer.finish() } as const;
  await store.putPart({ ...at, ...PART, uploadId, body });
  const done = await store.completeUpload({ ...at, uploadId, parts: [PART], combine: () => [] });
  expect(done.outcome).toBe("stored");
  await store.deleteObject(at);
}
