import { S3Error } from "../errors.ts";
import { childNamed, requireKnownChildren } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { childWord, requiredWord } from "./schema.ts";

/**
 * Settings with one answer: a document that asks for what is so anyway is kept, any other is
 * refused, since nobody would do what it asks for.
 */
function refuse(what: string): S3Error {
  return new S3Error("NotImplemented", { message: `${what} is not offered by Atoll.` });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html */
export const REQUEST_PAYMENT = bucketSetting<"BucketOwner">({
  name: "request-payment",
  subresource: "requestPayment",
  actions: { get: "GetBucketRequestPayment", put: "PutBucketRequestPayment" },
  document: {
    kind: "xml",
    root: "RequestPaymentConfiguration",
    read: (root) => {
      requireKnownChildren(root, ["Payer"]);
      const payer = requiredWord(root, "Payer", ["BucketOwner", "Requester"]);
      if (payer === "Requester") throw refuse("Payment by the requester");
      return payer;
    },
    write: (xml, payer) => xml.text("Payer", payer),
  },
  absent: { value: "BucketOwner" },
});

/**
 * A bucket that was never accelerated says nothing, one that was switched off says so.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html
 */
export const ACCELERATE = bucketSetting<"Suspended" | "never">({
  name: "accelerate",
  subresource: "accelerate",
  actions: { get: "GetAccelerateConfiguration", put: "PutAccelerateConfiguration" },
  document: {
    kind: "xml",
    root: "AccelerateConfiguration",
    read: (root) => {
      requireKnownChildren(root, ["Status"]);
      const status = childWord(root, "Status", ["Enabled", "Suspended"]);
      if (status === "Enabled") throw refuse("Transfer acceleration");
      if (status === undefined) throw new S3Error("MalformedXML");
      return status;
    },
    write: (xml, status) => {
      if (status === "Suspended") xml.text("Status", status);
    },
  },
  absent: { value: "never" },
});

/**
 * Access logs are lines of the server's own log; none are written into buckets.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
 */
export const LOGGING = bucketSetting<"off">({
  name: "logging",
  subresource: "logging",
  actions: { get: "GetBucketLogging", put: "PutBucketLogging" },
  document: {
    kind: "xml",
    root: "BucketLoggingStatus",
    read: (root) => {
      requireKnownChildren(root, ["LoggingEnabled"]);
      if (childNamed(root, "LoggingEnabled") !== undefined) throw refuse("Logging into buckets");
      return "off";
    },
    write: () => undefined,
  },
  absent: { value: "off" },
});
