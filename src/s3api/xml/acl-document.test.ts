import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { ACL_GRANTS, CANNED_ACLS } from "../policy/canned-acl.ts";
import { aclDocument, readAclDocument } from "./acl-document.ts";

const OWNER = "a".repeat(64);
const ALL = "http://acs.amazonaws.com/groups/global/AllUsers";

function outcome(xml: string): string {
  try {
    return readAclDocument(Buffer.from(xml), OWNER);
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

function acl(...grants: ReadonlyArray<readonly [grantee: string, permission: string]>): string {
  const list = grants.map(
    ([grantee, permission]) =>
      `<Grant><Grantee>${grantee}</Grantee><Permission>${permission}</Permission></Grant>`,
  );
  const owner = `<Owner><ID>${OWNER}</ID></Owner>`;
  const body = `${owner}<AccessControlList>${list.join("")}</AccessControlList>`;
  return `<AccessControlPolicy>${body}</AccessControlPolicy>`;
}

const FULL = [`<ID>${OWNER}</ID>`, "FULL_CONTROL"] as const;

test.each(CANNED_ACLS)("what is written for %s is read as the same grants", (name) => {
  const read = readAclDocument(Buffer.from(aclDocument(name, OWNER)), OWNER);
  expect(ACL_GRANTS[read]).toEqual(ACL_GRANTS[name]);
});

test.each([
  ["grants in another order", acl([`<URI>${ALL}</URI>`, "READ"], FULL), "public-read"],
  ["a grant twice", acl(FULL, FULL), "private"],
  ["no grants", acl(), "NotImplemented"],
  ["the owner's reading alone", acl([FULL[0], "READ"]), "NotImplemented"],
  ["everybody's full control", acl(FULL, [`<URI>${ALL}</URI>`, "FULL_CONTROL"]), "NotImplemented"],
  ["a grant by mail", acl(["<EmailAddress>a@b</EmailAddress>", "READ"]), "NotImplemented"],
  ["an unknown permission", acl([FULL[0], "EAT"]), "MalformedACLError"],
  [
    "no permission",
    acl().replace("<AccessControlList>", "<AccessControlList><Grant/>"),
    "MalformedACLError",
  ],
  ["a grantee without a name", acl(["", "READ"]), "MalformedACLError"],
  ["somebody unknown", acl([`<ID>${"b".repeat(64)}</ID>`, "READ"]), "InvalidArgument"],
  ["an unknown group", acl(["<URI>http://here</URI>", "READ"]), "InvalidArgument"],
  ["another owner", acl(FULL).replace(OWNER, "b".repeat(64)), "AccessDenied"],
  ["no owner", acl(FULL).replace(/<Owner>.*<\/Owner>/, ""), "MalformedACLError"],
  ["another root", "<Acl/>", "MalformedACLError"],
])("a document with %s is %s", (_name, xml, expected) => {
  expect(outcome(xml)).toBe(expected);
});
