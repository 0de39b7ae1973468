import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  paginateListParts,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;
const LONG = patternBytes(5 * MIB, 11);
const OTHER = patternBytes(5 * MIB + 1, 12);
const LAST = patternBytes(100, 13);

type Upload = { Bucket: string; Key: string; UploadId: string };
type Part = { PartNumber: number; ETag: string };

async function beginUpload(s3: S3Client, Bucket: string, Key: string): Promise<Upload> {
  const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  return { Bucket, Key, UploadId: begun.UploadId ?? "" };
}

/** A function that sends one part of the upload. */
function partsOf(s3: S3Client, upload: Upload) {
  return async (PartNumber: number, Body: Uint8Array): Promise<Part> => {
    const sent = await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body }));
    return { PartNumber, ETag: sent.ETag ?? "" };
  };
}

function completion(upload: Upload, Parts: readonly Part[]): CompleteMultipartUploadCommand {
  return new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: [...Parts] } });
}

function etagOf(parts: readonly Uint8Array[]): string {
  const digests = parts.map((part) => createHash("md5").update(part).digest());
  const whole = createHash("md5").update(Buffer.concat(digests)).digest("hex");
  return `"${whole}-${parts.length}"`;
}

async function bytesAt(s3: S3Client, input: { Bucket: string; Key: string; PartNumber?: number }) {
  const got = await s3.send(new GetObjectCommand(input));
  return { got, bytes: Buffer.from((await got.Body?.transformToByteArray()) ?? []) };
}

describe.each(ENGINES)("multipart uploads on %s", (engine) => {
  const server = useServer({ engine });

  test("parts become one object, in order of number and not of arrival", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "assembled");
    const send = partsOf(s3, upload);
    const third = await send(30, LAST);
    const first = await send(1, LONG);
    const second = await send(2, OTHER);
    const place = { Bucket, Key: "assembled" };
    expect(await refusalOf(s3.send(new HeadObjectCommand(place)))).toBe("404 NotFound");
    const done = await s3.send(completion(upload, [first, second, third]));
    expect(done.ETag).toBe(etagOf([LONG, OTHER, LAST]));
    const { got, bytes } = await bytesAt(s3, place);
    expect(got.ETag).toBe(done.ETag);
    expect(bytes.equals(Buffer.concat([LONG, OTHER, LAST]))).toBe(true);
    // Part numbers of a finished object count its parts, whatever numbers the upload used.
    const middle = await bytesAt(s3, { ...place, PartNumber: 2 });
    expect(middle.got.PartsCount).toBe(3);
    expect(middle.bytes.equals(OTHER)).toBe(true);
  });

  test("a part that is sent again replaces the one before", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "replaced");
    const send = partsOf(s3, upload);
    const old = await send(1, LONG);
    const fresh = await send(1, LAST);
    expect(await refusalOf(s3.send(completion(upload, [old])))).toBe("400 InvalidPart");
    await s3.send(completion(upload, [fresh]));
    const { bytes } = await bytesAt(s3, { Bucket, Key: "replaced" });
    expect(bytes.equals(LAST)).toBe(true);
  });

  test("completing twice answers the same, and the object stays", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "retried");
    const parts = [await partsOf(s3, upload)(1, LAST)];
    const first = await s3.send(completion(upload, parts));
    const second = await s3.send(completion(upload, parts));
    expect(second.ETag).toBe(first.ETag);
    const { bytes } = await bytesAt(s3, { Bucket, Key: "retried" });
    expect(bytes.equals(LAST)).toBe(true);
  });

  test("wrong completions are refused and the upload lives on", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "tried");
    const send = partsOf(s3, upload);
    const small = await send(1, LAST);
    const last = await send(2, LAST);
    const refusal = (parts: readonly Part[]): Promise<string> =>
      refusalOf(s3.send(completion(upload, parts)));
    expect(await refusal([small, last])).toBe("400 EntityTooSmall");
    expect(await refusal([last, small])).toBe("400 InvalidPartOrder");
    expect(await refusal([small, small])).toBe("400 InvalidPartOrder");
    expect(await refusal([{ ...small, PartNumber: 3 }])).toBe("400 InvalidPart");
    expect(await refusal([{ ...last, ETag: `"${"0".repeat(32)}"` }])).toBe("400 InvalidPart");
    expect(await refusal([])).toBe("400 MalformedXML");
    const listed = await s3.send(new ListPartsCommand(upload));
    expect(listed.Parts).toHaveLength(2);
    await s3.send(completion(upload, [last]));
  });

  test.each([0, 10_001, -1])("there is no part number %i", async (PartNumber) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "numbered");
    const sent = s3.send(new UploadPartCommand({ ...upload, PartNumber, Body: LAST }));
    expect(await refusalOf(sent)).toBe("400 InvalidArgument");
    const listed = await s3.send(new ListPartsCommand(upload));
    expect(listed.Parts ?? []).toEqual([]);
  });

  test("an aborted upload is gone, and so is one that never was", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "aborted");
    const part = await partsOf(s3, upload)(1, LAST);
    await s3.send(new AbortMultipartUploadCommand(upload));
    const never = { ...upload, UploadId: "f".repeat(32) };
    for (const gone of [upload, never]) {
      const refusals = await Promise.all([
        refusalOf(s3.send(completion(gone, [part]))),
        refusalOf(s3.send(new UploadPartCommand({ ...gone, PartNumber: 1, Body: LAST }))),
        refusalOf(s3.send(new ListPartsCommand(gone))),
        refusalOf(s3.send(new AbortMultipartUploadCommand(gone))),
      ]);
      expect(refusals).toEqual(Array(4).fill("404 NoSuchUpload"));
    }
    const head = s3.send(new HeadObjectCommand({ Bucket, Key: "aborted" }));
    expect(await refusalOf(head)).toBe("404 NotFound");
  });

  test("of a completion and an abort at the same time, one wins whole", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    for (let round = 0; round < 10; round++) {
      const Key = `raced-${round}`;
      const upload = await beginUpload(s3, Bucket, Key);
      const part = await partsOf(s3, upload)(1, LAST);
      const outcome = (request: Promise<unknown>): Promise<string> =>
        request.then(
          () => "done",
          (failure: Error) => failure.name,
        );
      const [completed, aborted] = await Promise.all([
        outcome(s3.send(completion(upload, [part]))),
        outcome(s3.send(new AbortMultipartUploadCommand(upload))),
      ]);
      const there = await outcome(s3.send(new HeadObjectCommand({ Bucket, Key })));
      expect(completed).toBe(there === "done" ? "done" : "NoSuchUpload");
      expect([completed, aborted]).toContain("done");
    }
  });

  test("parts are listed by number, page by page", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const upload = await beginUpload(s3, Bucket, "listed");
    const send = partsOf(s3, upload);
    for (const number of [7, 3, 10_000, 1, 5]) await send(number, LAST);
    const numbers: (number | undefined)[] = [];
    let pages = 0;
    for await (const page of paginateListParts({ client: s3, pageSize: 2 }, upload)) {
      numbers.push(...(page.Parts ?? []).map((part) => part.PartNumber));
      expect(page.Parts?.every((part) => part.Size === LAST.length)).toBe(true);
      pages += 1;
    }
    expect(numbers).toEqual([1, 3, 5, 7, 10_000]);
    expect(pages).toBe(3);
  });

  test("uploads are listed by key and age, with prefix, delimiter and both markers", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const keys = ["a/1", "a/2", "b", "c", "c"];
    const uploads: Upload[] = [];
    for (const key of keys) uploads.push(await beginUpload(s3, Bucket, key));
    const list = (input: object) => s3.send(new ListMultipartUploadsCommand({ Bucket, ...input }));
    const whole = await list({});
    expect(whole.Uploads?.map((row) => row.UploadId)).toEqual(uploads.map((u) => u.UploadId));
    const folded = await list({ Delimiter: "/" });
    expect(folded.CommonPrefixes?.map((row) => row.Prefix)).toEqual(["a/"]);
    expect(folded.Uploads?.map((row) => row.Key)).toEqual(["b", "c", "c"]);
    const below = await list({ Prefix: "a/" });
    expect(below.Uploads?.map((row) => row.Key)).toEqual(["a/1", "a/2"]);
    const page = await list({ MaxUploads: 4 });
    expect(page.IsTruncated).toBe(true);
    const rest = await list({
      KeyMarker: page.NextKeyMarker,
      UploadIdMarker: page.NextUploadIdMarker,
    });
    expect(rest.Uploads?.map((row) => row.UploadId)).toEqual([uploads[4]?.UploadId]);
    const byKey = await list({ KeyMarker: "b" });
    expect(byKey.Uploads?.map((row) => row.Key)).toEqual(["c", "c"]);
  });

  test("a part can be a range of another object", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "source", Body: OTHER }));
    const upload = await beginUpload(s3, Bucket, "copied");
    const copy = async (PartNumber: number, CopySourceRange?: string): Promise<Part> => {
      const done = await s3.send(
        new UploadPartCopyCommand({
          ...{ ...upload, PartNumber, CopySource: `${Bucket}/source` },
          ...(CopySourceRange === undefined ? {} : { CopySourceRange }),
        }),
      );
      return { PartNumber, ETag: done.CopyPartResult?.ETag ?? "" };
    };
    const whole = await copy(1);
    const slice = await copy(2, "bytes=10-1009");
    await s3.send(completion(upload, [whole, slice]));
    const { bytes } = await bytesAt(s3, { Bucket, Key: "copied" });
    expect(bytes.equals(Buffer.concat([OTHER, OTHER.subarray(10, 1010)]))).toBe(true);
    const beyond = copy(3);
    expect(await refusalOf(beyond)).toBe("404 NoSuchUpload");
  });
});
