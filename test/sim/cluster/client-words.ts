import { createHash } from "node:crypto";
import type { AccessKeyId } from "../../../src/core/names.ts";
import { parseAccessKeyId } from "../../../src/core/names.ts";
import type { ObjectAttributes, ObjectRecord, Operation } from "../../../src/core/records.ts";
import type { Store, StoredObject, StoredVersion } from "../../../src/storage/store.ts";
import { bytesOf } from "../store-journal.ts";
import { type Content, multipartEtag } from "../store-model.ts";

/** What every write of a run put into its object, by the tag of the write. */
export type Contents = Map<string, readonly Content[]>;

/** The ETag of these bytes as S3 has it: their MD5, and behind appends how many pieces there are. */
export function etagOf(contents: readonly Content[]): string {
  const md5 = createHash("md5").update(bodyOf(contents)).digest("hex");
  return contents.length > 1 ? `${md5}-${contents.length}` : md5;
}

/** What an object of these bytes may have as its ETag: sent at once, or as an upload of one part. */
export function etagsOf(contents: readonly Content[]): string[] {
  const etag = etagOf(contents);
  return contents.length > 1 ? [etag] : [etag, multipartEtag([etag])];
}

export function attributesOf(
  writer: string,
  tags: ObjectAttributes["tags"] = [],
): ObjectAttributes {
  return { system: [], user: [["writer", writer]], storageClass: undefined, tags };
}

/** The tag of the write that an object came from. */
export function writerOf({ attributes }: Pick<ObjectRecord, "attributes">): string {
  return attributes.user[0]?.[1] ?? "";
}

export function bodyOf(contents: readonly Content[]): Buffer {
  return Buffer.concat(contents.map(bytesOf));
}

export function accessKeyOf(name: string): AccessKeyId {
  const id = parseAccessKeyId(name);
  if (id === undefined) throw new Error(`${name} is no access key id`);
  return id;
}

/** The bytes of an object, all of them. */
export async function readWhole(store: Store, object: StoredObject): Promise<Buffer> {
  const reader = store.openBody(object, { start: 0, end: object.record.size });
  const slices: Buffer[] = [];
  try {
    for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
      slices.push(Buffer.from(slice));
    }
  } finally {
    reader.close();
  }
  return Buffer.concat(slices);
}

/** Every version of a bucket, as its list shows them. */
export function listVersions(store: Store, bucket: StoredVersion["bucket"]): StoredVersion[] {
  const cursor = store.versions(bucket);
  const found: StoredVersion[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
  cursor.close();
  return found;
}

/** What an operation says, in a few words. */
export function describe({ dot, body }: Operation): string {
  const dotText = `${dot.origin.slice(0, 4)}:${dot.seq}`;
  const words: string[] = [dotText, body.kind];
  if ("bucket" in body) words.push(body.bucket);
  if ("key" in body) words.push(body.key);
  if ("nullSlot" in body && body.nullSlot) words.push("null");
  if (body.kind === "object-put") words.push(writerOf(body.object));
  if (body.kind === "bucket-setting") words.push(body.name);
  if (body.kind === "object-meta") words.push(body.version.slice(0, 12), body.change.kind);
  if (body.kind === "version-delete") words.push(body.version.slice(0, 12));
  return words.join(" ");
}
