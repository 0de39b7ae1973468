import { createHash } from "node:crypto";
import type { Answer, Client } from "./s3-client.ts";

/** Everything a client can see of a site, in an order of its own, so that it can be compared. */
export type World = { readonly [bucket: string]: BucketWorld };
export type BucketWorld = {
  readonly objects: { [key: string]: StoredObject };
  readonly uploads: { [key: string]: Part[] };
};
export type StoredObject = { readonly etag: string; readonly bytes: number; readonly md5: string };
export type Part = { readonly number: number; readonly etag: string; readonly bytes: number };

export function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** The path of a request for an object or a bucket. */
export function pathOf(bucket: string, key = ""): string {
  return `/${bucket}${key === "" ? "" : `/${key.split("/").map(encodeURIComponent).join("/")}`}`;
}

/** Asks for what has to be there. */
export async function mustAsk(client: Client, path: string): Promise<Answer> {
  const answer = await client.send({ method: "GET", path });
  if (answer.status === 200) return answer;
  throw new Error(`GET ${path}: ${answer.status} ${answer.code}`);
}

/** Reads all there is: every list, every object's bytes, every upload's parts. */
export async function observe(client: Client): Promise<World> {
  const buckets = texts(await mustAsk(client, "/"), "Bucket", "Name");
  const world: { [bucket: string]: BucketWorld } = {};
  for (const bucket of buckets) {
    world[bucket] = {
      objects: await observeObjects(client, bucket),
      uploads: await observeUploads(client, bucket),
    };
  }
  return world;
}

async function observeObjects(client: Client, bucket: string): Promise<BucketWorld["objects"]> {
  const listed = await mustAsk(client, `${pathOf(bucket)}?list-type=2`);
  const objects: BucketWorld["objects"] = {};
  for (const entry of elements(listed, "Contents")) {
    const key = textIn(entry, "Key");
    objects[key] = await readObject(client, bucket, key);
    const { etag, bytes } = objects[key];
    const said = {
      etag: textIn(entry, "ETag").replaceAll("&quot;", ""),
      bytes: textIn(entry, "Size"),
    };
    // The list and the object itself have to agree before either is compared with anything.
    if (said.etag.replaceAll('"', "") !== etag || Number(said.bytes) !== bytes) {
      throw new Error(
        `${bucket}/${key} is listed as ${JSON.stringify(said)}, but is ${etag} ${bytes}`,
      );
    }
  }
  return objects;
}

/** An object as its bytes and headers tell. */
export async function readObject(
  client: Client,
  bucket: string,
  key: string,
): Promise<StoredObject> {
  const { headers, body } = await mustAsk(client, pathOf(bucket, key));
  return { etag: String(headers["etag"]).replaceAll('"', ""), bytes: body.length, md5: md5(body) };
}

async function observeUploads(client: Client, bucket: string): Promise<BucketWorld["uploads"]> {
  const uploads: BucketWorld["uploads"] = {};
  for (const entry of elements(await mustAsk(client, `${pathOf(bucket)}?uploads`), "Upload")) {
    const key = textIn(entry, "Key");
    const query = `uploadId=${encodeURIComponent(textIn(entry, "UploadId"))}`;
    const parts = elements(await mustAsk(client, `${pathOf(bucket, key)}?${query}`), "Part");
    if (uploads[key] !== undefined) throw new Error(`two uploads of ${bucket}/${key}`);
    uploads[key] = parts.map((part) => ({
      number: Number(textIn(part, "PartNumber")),
      etag: textIn(part, "ETag").replaceAll("&quot;", "").replaceAll('"', ""),
      bytes: Number(textIn(part, "Size")),
    }));
  }
  return uploads;
}

function elements({ body }: Answer, name: string): string[] {
  return [...body.toString().matchAll(new RegExp(`<${name}>(.*?)</${name}>`, "gs"))].map(
    (match) => match[1] ?? "",
  );
}

function textIn(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? "";
}

function texts(answer: Answer, element: string, name: string): string[] {
  return elements(answer, element).map((entry) => textIn(entry, name));
}
