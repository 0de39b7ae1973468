import { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply, xmlReply } from "../reply.ts";
import { requestTagValues } from "../request-values.ts";
import { readTagging, TAGGED_OBJECT, type Tags, writeTagging } from "../settings/tag-set.ts";
import { XmlWriter } from "../xml/writer.ts";
import { allowedBody } from "./allowed-body.ts";
import { changeObject } from "./change-object.ts";
import { changeableObject, pushVersionId } from "./object-version.ts";
import { readXmlBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html */
export function getObjectTagging(call: ObjectCall, deps: HandlerDeps): Reply {
  // AWS says of a key that ends with a delete marker what it says to those who would change it.
  const object = changeableObject(call, deps);
  const xml = new XmlWriter("Tagging");
  writeTagging(xml, object.record.attributes.tags);
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return xmlReply(xml.finish(), headers);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html */
export async function putObjectTagging(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const tags = await allowedTags(call, deps);
  const object = await changeObject(call, deps, { kind: "tags", tags });
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return emptyReply(200, headers);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html */
export async function deleteObjectTagging(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const object = await changeObject(call, deps, { kind: "tags", tags: [] });
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return emptyReply(204, headers);
}

/** The tags of the body, which policies may ask about. */
function allowedTags(call: ObjectCall, deps: HandlerDeps): Promise<Tags> {
  const isNamed = call.query.has("versionId");
  return allowedBody(call, {
    action: isNamed ? "s3:PutObjectVersionTagging" : "s3:PutObjectTagging",
    read: async () => {
      const document = await readXmlBody(call, deps, "Tagging");
      if (document === undefined) throw new S3Error("MissingRequestBodyError");
      return readTagging(document, TAGGED_OBJECT);
    },
    known: requestTagValues,
  });
}
