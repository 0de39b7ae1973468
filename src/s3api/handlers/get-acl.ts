import type { BucketCall, HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeOwner } from "./listing-xml.ts";
import { existingObject } from "./object-version.ts";

const XSI = "http://www.w3.org/2001/XMLSchema-instance";

/** ACLs grant nothing beyond what policies do: the owner has full control, and nobody else any. */
export function getBucketAcl(_call: BucketCall, deps: HandlerDeps): Reply {
  return ownerHasFullControl(deps.settings.ownerId);
}

export function getObjectAcl(call: ObjectCall, deps: HandlerDeps): Reply {
  existingObject(call, deps);
  return ownerHasFullControl(deps.settings.ownerId);
}

function ownerHasFullControl(ownerId: string): Reply {
  const xml = new XmlWriter("AccessControlPolicy");
  writeOwner(xml, "Owner", ownerId);
  xml.open("AccessControlList");
  xml.open("Grant");
  xml.open("Grantee", { "xmlns:xsi": XSI, "xsi:type": "CanonicalUser" });
  xml.text("ID", ownerId);
  xml.text("DisplayName", ownerId);
  xml.close();
  xml.text("Permission", "FULL_CONTROL");
  xml.close();
  xml.close();
  return xmlReply(xml.finish());
}
