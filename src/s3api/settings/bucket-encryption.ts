import type { BucketSettings } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { childNamed, childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { childBoolean, requiredChild, requiredText } from "./schema.ts";

/** What a bucket says about the encryption of new objects. */
export type BucketEncryption = {
  /** What is done when a request says nothing; undefined when the rule only blocks. */
  readonly algorithm: "AES256" | undefined;
  /** Kept and shown; means something with a key management service only. */
  readonly bucketKeyEnabled: boolean | undefined;
  /** Whether writes with keys of clients are refused; undefined when the rule does not say. */
  readonly blocked: "SSE-C" | "NONE" | undefined;
};

/**
 * Absent is not AES256, as it is at AWS since 2023: docs/decisions/0010-encrypted-bodies.md.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
 */
export const BUCKET_ENCRYPTION = bucketSetting<BucketEncryption>({
  name: "encryption",
  subresource: "encryption",
  actions: { get: "GetEncryptionConfiguration", put: "PutEncryptionConfiguration" },
  document: {
    kind: "xml",
    root: "ServerSideEncryptionConfiguration",
    read: (root) => {
      requireKnownChildren(root, ["Rule"]);
      return readRule(requiredChild(root, "Rule"));
    },
    write: (xml, { algorithm, bucketKeyEnabled, blocked }) => {
      xml.open("Rule");
      if (algorithm !== undefined) {
        xml.open("ApplyServerSideEncryptionByDefault");
        xml.text("SSEAlgorithm", algorithm);
        xml.close();
      }
      if (bucketKeyEnabled !== undefined) xml.text("BucketKeyEnabled", String(bucketKeyEnabled));
      if (blocked !== undefined) {
        xml.open("BlockedEncryptionTypes");
        xml.text("EncryptionType", blocked);
        xml.close();
      }
      xml.close();
    },
  },
  absent: { error: "ServerSideEncryptionConfigurationNotFoundError" },
});

/** Whether new objects are encrypted with a key of the cluster unless their request says more. */
export function encryptsByDefault(settings: BucketSettings): boolean {
  return BUCKET_ENCRYPTION.of(settings)?.algorithm === "AES256";
}

/** Whether objects with keys of clients may not be stored. */
export function blocksCustomerKeys(settings: BucketSettings): boolean {
  return BUCKET_ENCRYPTION.of(settings)?.blocked === "SSE-C";
}

const RULE_CHILDREN = [
  "ApplyServerSideEncryptionByDefault",
  "BlockedEncryptionTypes",
  "BucketKeyEnabled",
];

function readRule(rule: XmlElement): BucketEncryption {
  requireKnownChildren(rule, RULE_CHILDREN);
  if (rule.children.length === 0) throw new S3Error("MalformedXML");
  const applied = childNamed(rule, "ApplyServerSideEncryptionByDefault");
  return {
    algorithm: applied === undefined ? undefined : readAlgorithm(applied),
    bucketKeyEnabled: childBoolean(rule, "BucketKeyEnabled"),
    blocked: readBlocked(childNamed(rule, "BlockedEncryptionTypes")),
  };
}

function readAlgorithm(applied: XmlElement): "AES256" {
  requireKnownChildren(applied, ["KMSMasterKeyID", "SSEAlgorithm"]);
  const algorithm = requiredText(applied, "SSEAlgorithm").trim();
  if (algorithm === "aws:kms" || algorithm === "aws:kms:dsse") {
    throw new S3Error("NotImplemented", {
      message: "Encryption with keys of a key management service is not implemented; use AES256.",
      fields: { Element: "SSEAlgorithm" },
    });
  }
  if (algorithm !== "AES256") throw new S3Error("MalformedXML");
  if (childText(applied, "KMSMasterKeyID") !== undefined) {
    throw new S3Error("InvalidArgument", {
      message:
        "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or " +
        "aws:kms:dsse",
      fields: { ArgumentName: "ApplyServerSideEncryptionByDefault", ArgumentValue: "null" },
    });
  }
  return algorithm;
}

function readBlocked(types: XmlElement | undefined): BucketEncryption["blocked"] {
  if (types === undefined) return undefined;
  requireKnownChildren(types, ["EncryptionType"]);
  const type = requiredText(types, "EncryptionType").trim();
  if (type === "SSE-C" || type === "NONE") return type;
  throw new S3Error("MalformedXML");
}
