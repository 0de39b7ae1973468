import { S3Error } from "../errors.ts";
import { ACL_GRANTS, CANNED_ACLS, type CannedAcl } from "../policy/canned-acl.ts";
import { childNamed, childrenNamed, childText, parseXml, type XmlElement } from "./reader.ts";
import { XmlWriter } from "./writer.ts";

const XSI = "http://www.w3.org/2001/XMLSchema-instance";
const GLOBAL_GROUPS = "http://acs.amazonaws.com/groups/global/";
const GROUPS: ReadonlyMap<string, string> = new Map([
  [`${GLOBAL_GROUPS}AllUsers`, "AllUsers"],
  [`${GLOBAL_GROUPS}AuthenticatedUsers`, "AuthenticatedUsers"],
]);
const LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const PERMISSIONS = ["FULL_CONTROL", "READ", "READ_ACP", "WRITE", "WRITE_ACP"];
const FULL_CONTROL = "FULL_CONTROL";

/** An ACL as its document: the owner's full control, and what it grants to groups. */
export function aclDocument(acl: CannedAcl, ownerId: string): string {
  const xml = new XmlWriter("AccessControlPolicy");
  xml.open("Owner");
  writeOwnerId(xml, ownerId);
  xml.close();
  xml.open("AccessControlList");
  writeGrant(xml, "CanonicalUser", FULL_CONTROL, () => writeOwnerId(xml, ownerId));
  for (const [grantees, permission] of ACL_GRANTS[acl]) {
    writeGrant(xml, "Group", permission, () => xml.text("URI", GLOBAL_GROUPS + grantees));
  }
  return xml.finish();
}

function writeGrant(xml: XmlWriter, type: string, permission: string, grantee: () => void): void {
  xml.open("Grant");
  xml.open("Grantee", { "xmlns:xsi": XSI, "xsi:type": type });
  grantee();
  xml.close();
  xml.text("Permission", permission);
  xml.close();
}

function writeOwnerId(xml: XmlWriter, ownerId: string): void {
  xml.text("ID", ownerId);
  xml.text("DisplayName", ownerId);
}

/**
 * Reads an ACL whose grants are those of one that has a name; other grants are refused by name.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_AccessControlPolicy.html
 */
export function readAclDocument(bytes: Uint8Array, ownerId: string): CannedAcl {
  const root = parseAcl(bytes);
  const owner = childNamed(root, "Owner");
  const list = childNamed(root, "AccessControlList");
  if (owner === undefined || list === undefined) throw malformed();
  if (childText(owner, "ID") !== ownerId) throw new S3Error("AccessDenied");
  const grants = new Set(childrenNamed(list, "Grant").map((grant) => readGrant(grant, ownerId)));
  for (const acl of CANNED_ACLS) {
    const named = [`owner ${FULL_CONTROL}`, ...ACL_GRANTS[acl].map((grant) => grant.join(" "))];
    if (named.length === grants.size && named.every((grant) => grants.has(grant))) return acl;
  }
  throw new S3Error("NotImplemented", {
    message:
      "Only the grants of the canned ACLs private, public-read, public-read-write and " +
      "authenticated-read are implemented. Use a bucket policy for others.",
  });
}

function parseAcl(bytes: Uint8Array): XmlElement {
  try {
    return parseXml(bytes, "AccessControlPolicy");
  } catch (failure) {
    if (failure instanceof S3Error && failure.code === "MalformedXML") throw malformed();
    throw failure;
  }
}

/** "owner FULL_CONTROL", "AllUsers READ" */
function readGrant(grant: XmlElement, ownerId: string): string {
  const grantee = childNamed(grant, "Grantee");
  const permission = childText(grant, "Permission") ?? "";
  if (grantee === undefined || !PERMISSIONS.includes(permission)) throw malformed();
  const id = childText(grantee, "ID");
  const uri = childText(grantee, "URI");
  if (id !== undefined) {
    if (id === ownerId) return `owner ${permission}`;
    throw invalid("Invalid id", "CanonicalUser/ID", id);
  }
  if (childText(grantee, "EmailAddress") !== undefined || uri === LOG_DELIVERY) {
    throw new S3Error("NotImplemented", { fields: { Element: "Grantee" } });
  }
  if (uri === undefined) throw malformed();
  const group = GROUPS.get(uri);
  if (group === undefined) throw invalid("Invalid group uri", "Group/URI", uri);
  return `${group} ${permission}`;
}

function invalid(message: string, argument: string, value: string): S3Error {
  const fields = { ArgumentName: argument, ArgumentValue: value };
  return new S3Error("InvalidArgument", { message, fields });
}

function malformed(): S3Error {
  return new S3Error("MalformedACLError");
}
