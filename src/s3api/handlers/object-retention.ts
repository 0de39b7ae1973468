import { LOCK_MODES } from "../../core/object-lock.ts";
import type { Retention } from "../../core/object-lock-state.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { parseIsoDate } from "../headers/iso-date.ts";
import { requireFuture } from "../headers/object-lock-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { requestLockValues } from "../request-values.ts";
import { requiredText, requiredWord } from "../settings/schema.ts";
import { requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { allowedBody } from "./allowed-body.ts";
import { requireDigest } from "./bucket-settings.ts";
import { bypassesGovernance } from "./governance-bypass.ts";
import { changeLock, lockedObject } from "./object-lock-access.ts";
import { readXmlBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html */
export async function putObjectRetention(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const known = (retention: Retention | undefined): KnownValues =>
    requestLockValues({ retention, legalHold: undefined }, deps.nowMs());
  const retention = await allowedBody(call, {
    action: "s3:PutObjectRetention",
    read: async () => {
      requireDigest(call);
      const document = await readXmlBody(call, deps, "Retention");
      if (document === undefined) throw new S3Error("MissingRequestBodyError");
      return readRetention(document, deps.nowMs());
    },
    known,
  });
  const bypassGovernance = bypassesGovernance(call, call.key, known(retention));
  return changeLock(call, deps, { kind: "retention", retention, bypassGovernance });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html */
export function getObjectRetention(call: ObjectCall, deps: HandlerDeps): Reply {
  const retention = lockedObject(call, deps).record.lock?.retention;
  if (retention === undefined) throw new S3Error("NoSuchObjectLockConfiguration");
  const xml = new XmlWriter("Retention");
  xml.text("Mode", retention.mode);
  xml.text("RetainUntilDate", formatIsoDate(retention.untilMs));
  return xmlReply(xml.finish());
}

/** An empty document takes the retention away. */
function readRetention(root: XmlElement, nowMs: number): Retention | undefined {
  requireKnownChildren(root, ["Mode", "RetainUntilDate"]);
  if (root.children.length === 0) return undefined;
  const mode = requiredWord(root, "Mode", LOCK_MODES);
  const text = requiredText(root, "RetainUntilDate").trim();
  const untilMs = parseIsoDate(text);
  if (untilMs === undefined) throw new S3Error("MalformedXML");
  return { mode, untilMs: requireFuture(untilMs, nowMs, text) };
}
