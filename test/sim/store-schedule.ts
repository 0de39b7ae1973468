import { createHash } from "node:crypto";
import type { Seed } from "./seed.ts";
import type { Journal, Planned, UploadIds } from "./store-journal.ts";
import {
  type Content,
  type ModelObject,
  type ModelOperation,
  multipartEtag,
} from "./store-model.ts";

const BUCKETS = ["alpha", "beta"];
const KEYS = ["a", "b", "dir/a", "dir/b", "dir/c", "other/x", "other/y", "z"];
const INLINE_BYTES_MAX = 128 * 1024;
const PART_BYTES_MIN = 5 * 1024 * 1024;

type At = { readonly bucket: string; readonly key: string };
type Upload = At & { readonly parts: Map<number, string> };

/** Makes up operations. Names are few, so that they meet; contents repeat, so that they are shared. */
export class Schedule {
  readonly #seed: Seed;
  readonly #uploadIds: UploadIds;
  /** Where each upload was begun, and the parts it was sent. */
  readonly #uploads = new Map<string, Upload>();
  /** What was sent under an ETag: every write has its own. */
  readonly #contents = new Map<string, readonly Content[]>();
  /** ETags of objects that have grown. */
  readonly #appended = new Set<string>();
  #count = 0;

  constructor(seed: Seed, uploadIds: UploadIds) {
    this.#seed = seed;
    this.#uploadIds = uploadIds;
  }

  /** The next operation; copies look for their source in the store. */
  next(journal: Journal): Planned {
    const at = { bucket: this.#bucket(), key: this.#seed.pick(KEYS) };
    if (this.#seed.chance(0.1)) return this.#copy(at, journal);
    if (this.#seed.chance(0.06)) return { operation: this.#append(at, journal) };
    if (this.#seed.chance(0.04)) {
      return { operation: { kind: "rename", ...at, source: this.#seed.pick(KEYS) } };
    }
    if (this.#seed.chance(0.25)) return this.#version(at, journal);
    return { operation: this.#operation(at) };
  }

  #operation(at: At): ModelOperation {
    const seed = this.#seed;
    const dice = seed.int(100);
    if (dice < 3) return { kind: "create-bucket", bucket: seed.pick(BUCKETS) };
    if (dice < 5) return { kind: "delete-bucket", bucket: seed.pick(BUCKETS) };
    if (dice < 45) return this.#put(at, this.#content());
    if (dice < 60) return { kind: "delete", name: this.#tag(), targets: this.#targets(at) };
    if (dice < 64) return this.#accessKey();
    if (dice < 70) return this.#setting(at.bucket);
    return this.#upload(at);
  }

  /** Removes a version that is there now, or changes what is said about it. */
  #version(at: At, journal: Journal): Planned {
    const versions = journal.versions(at.bucket, at.key);
    if (versions.length === 0) return { operation: this.#operation(at) };
    const { id, of } = this.#seed.pick(versions);
    const dice = this.#seed.int(10);
    if (dice < 5) return { operation: { kind: "delete-version", ...at, of }, version: id };
    // Holds are let go more often than they are put on, so that not everything is stuck.
    const change = dice < 7 ? { tag: this.#tag() } : { held: dice === 9 && this.#seed.chance(0.5) };
    return { operation: { kind: "change", ...at, of, change }, version: id };
  }

  #setting(bucket: string): ModelOperation {
    const name = this.#seed.chance(0.7) ? "versioning" : "policy";
    const values =
      name === "policy" ? [undefined, this.#tag()] : ["enabled", "enabled", "suspended"];
    return { kind: "setting", bucket, name, value: this.#seed.pick(values) };
  }

  #bucket(): string {
    return this.#seed.chance(0.9) ? "alpha" : "beta";
  }

  #targets(at: At): Array<At> {
    const count = this.#seed.chance(0.2) ? 5 : 1;
    const { bucket } = at;
    return [
      at,
      ...Array.from({ length: count - 1 }, () => ({ bucket, key: this.#seed.pick(KEYS) })),
    ];
  }

  #content(): Content {
    const seed = this.#seed;
    const dice = seed.int(100);
    if (dice < 5) return { id: 0, size: 0, chunked: false };
    if (dice < 65) return { id: seed.int(1000), size: 1 + seed.int(3000), chunked: false };
    if (dice < 75) return { id: seed.int(1000), size: seed.int(INLINE_BYTES_MAX), chunked: false };
    return this.#chunked();
  }

  #chunked(): Content {
    return { id: this.#seed.int(4), size: 140_000 + this.#seed.int(3) * 50_000, chunked: true };
  }

  #put(at: At, content: Content): ModelOperation {
    const contents = content.size === 0 ? [] : [content];
    const object = this.#object(contents);
    return { kind: "put", ...at, object, shared: false, ifNoneMatch: this.#seed.chance(0.1) };
  }

  /** At the end that is seen now, or sometimes anywhere. */
  #append(at: At, journal: Journal): ModelOperation {
    const content = this.#content();
    if (content.size === 0) return this.#put(at, content);
    const object = this.#object([]);
    const offset = this.#seed.chance(0.1) ? this.#seed.int(100) : journal.sizeOf(at.bucket, at.key);
    this.#appended.add(object.etag);
    return {
      kind: "append",
      ...at,
      object: { writer: object.writer, etag: object.etag },
      offset,
      content,
    };
  }

  #object(contents: readonly Content[]): ModelObject {
    const writer = this.#tag();
    const etag = createHash("md5").update(writer).digest("hex");
    this.#contents.set(etag, contents);
    return { writer, etag, contents };
  }

  /** What was sent under an ETag. */
  contentsOf(etag: string): readonly Content[] {
    const contents = this.#contents.get(etag);
    if (contents === undefined) throw new Error(`nobody knows what ${etag} holds`);
    return contents;
  }

  #tag(): string {
    this.#count += 1;
    return `w${this.#count}`;
  }

  #copy(at: At, journal: Journal): Planned {
    const source = journal.source(this.#bucket(), this.#seed.pick(KEYS));
    // What manifests an object that has grown consists of is not for the model to know.
    if (source === undefined || this.#appended.has(source.record.etag)) {
      return { operation: this.#put(at, this.#chunked()) };
    }
    const object = this.#object(this.contentsOf(source.record.etag));
    return { operation: { kind: "put", ...at, object, shared: true, ifNoneMatch: false }, source };
  }

  #accessKey(): ModelOperation {
    const state = this.#seed.pick(["active", "disabled", "revoked"]);
    return { kind: "access-key", id: this.#seed.pick(["AKONE", "AKTWO", "AKTHREE"]), state };
  }

  #upload(at: At): ModelOperation {
    const seed = this.#seed;
    const tags = [...this.#uploadIds.keys()];
    if (tags.length === 0 || seed.chance(0.2)) {
      const tag = `u${this.#tag()}`;
      this.#uploads.set(tag, { ...at, parts: new Map() });
      return { kind: "create-upload", ...at, tag };
    }
    // Mostly one of the last, which are still open.
    const tag = seed.chance(0.8)
      ? (tags.slice(-3)[seed.int(3)] ?? seed.pick(tags))
      : seed.pick(tags);
    const upload = this.#uploads.get(tag);
    if (upload === undefined) throw new Error("an upload was begun somewhere");
    const { bucket, key, parts } = upload;
    const dice = seed.int(100);
    if (dice < 55 || parts.size === 0) return this.#part(tag, upload);
    if (dice < 65) return { kind: "abort", bucket, key, tag };
    const numbers = [...parts.keys()].sort((left, right) => left - right);
    const listed = seed.chance(0.7) ? numbers.slice(0, 1) : numbers;
    const wrong = seed.chance(0.05);
    const etags = listed.map((number) => (wrong ? "0".repeat(32) : (parts.get(number) ?? "")));
    if (!wrong)
      this.#contents.set(
        multipartEtag(etags),
        etags.flatMap((etag) => this.contentsOf(etag)),
      );
    return {
      kind: "complete",
      ...{ bucket, key, tag, writer: this.#tag() },
      parts: listed.map((partNumber, index) => ({ partNumber, etag: etags[index] ?? "" })),
    };
  }

  #part(tag: string, { bucket, key, parts }: Upload): ModelOperation {
    const partNumber = 1 + this.#seed.int(3);
    const etag = createHash("md5").update(this.#tag()).digest("hex");
    parts.set(partNumber, etag);
    const large = this.#seed.chance(0.01);
    const size = PART_BYTES_MIN + 100;
    const content = large ? { id: 9, size, chunked: true } : this.#chunked();
    this.#contents.set(etag, [content]);
    return { kind: "put-part", bucket, key, tag, partNumber, etag, content };
  }
}
