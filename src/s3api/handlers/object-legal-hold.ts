import { S3Error } from "../errors.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { requestLockValues } from "../request-values.ts";
import { requiredWord } from "../settings/schema.ts";
import { requireKnownChildren } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { allowedBody } from "./allowed-body.ts";
import { requireDigest } from "./bucket-settings.ts";
import { changeLock, lockedObject } from "./object-lock-access.ts";
import { readXmlBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html */
export async function putObjectLegalHold(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const on = await allowedBody(call, {
    action: "s3:PutObjectLegalHold",
    read: async () => {
      requireDigest(call);
      const document = await readXmlBody(call, deps, "LegalHold");
      if (document === undefined) throw new S3Error("MissingRequestBodyError");
      requireKnownChildren(document, ["Status"]);
      return requiredWord(document, "Status", ["ON", "OFF"]) === "ON";
    },
    known: (legalHold) => requestLockValues({ retention: undefined, legalHold }, deps.nowMs()),
  });
  return changeLock(call, deps, { kind: "legal-hold", on });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html */
export function getObjectLegalHold(call: ObjectCall, deps: HandlerDeps): Reply {
  const { lock } = lockedObject(call, deps).record;
  if (lock === undefined) throw new S3Error("NoSuchObjectLockConfiguration");
  const xml = new XmlWriter("LegalHold");
  xml.text("Status", lock.legalHold ? "ON" : "OFF");
  return xmlReply(xml.finish());
}
