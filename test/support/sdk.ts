import {
  CreateBucketCommand,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { REGION, ROOT_KEY, type TestServer } from "./server.ts";

/** The SDK with its default settings but for where it goes and who it is. */
export function sdkFor(server: TestServer, settings: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
    ...settings,
  });
}

let bucketsMade = 0;

/** Makes a bucket that no other test of this process uses. */
export async function makeBucket(s3: S3Client): Promise<string> {
  bucketsMade += 1;
  const name = `bucket-${process.pid}-${bucketsMade}`;
  await s3.send(new CreateBucketCommand({ Bucket: name }));
  return name;
}

/** The keys of a bucket's first page. */
export async function keysIn(server: TestServer, Bucket: string): Promise<string[]> {
  const page = await sdkFor(server).send(new ListObjectsV2Command({ Bucket }));
  return (page.Contents ?? []).map(({ Key = "" }) => Key);
}

/** Status and error code of a request that has to be refused. */
export async function refusalOf(request: Promise<unknown>): Promise<string> {
  let answer: unknown;
  try {
    answer = await request;
  } catch (failure) {
    if (failure instanceof Error && "$metadata" in failure) {
      const { httpStatusCode } = failure.$metadata as { httpStatusCode?: number };
      if (httpStatusCode !== undefined) return `${httpStatusCode} ${failure.name}`;
    }
    throw failure;
  }
  throw new Error(`should have been refused, but answered ${JSON.stringify(answer)}`);
}

/** Bytes that differ from place to place, the same for the same seed. */
export function patternBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state & 0xff;
  }
  return bytes;
}
