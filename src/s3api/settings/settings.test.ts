import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import {
  type BucketSetting,
  bucketSetting,
  readDocument,
  writeDocument,
} from "./bucket-setting.ts";
import { BUCKET_TAGGING } from "./bucket-tagging.ts";
import { ACCELERATE, LOGGING, REQUEST_PAYMENT } from "./fixed-settings.ts";
import { OWNERSHIP_CONTROLS } from "./ownership-controls.ts";
import { PUBLIC_ACCESS_BLOCK } from "./public-access-block.ts";

function outcomeOf<Value>(setting: BucketSetting<Value>, document: string): unknown {
  try {
    return readDocument(setting.document, Buffer.from(document));
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

const OWNER = (rules: string) => `<OwnershipControls>${rules}</OwnershipControls>`;
const RULE = (word: string) => `<Rule><ObjectOwnership>${word}</ObjectOwnership></Rule>`;

test.each([
  [OWNER(RULE("ObjectWriter")), "ObjectWriter"],
  [OWNER(RULE("BucketOwnerPreferred")), "BucketOwnerPreferred"],
  [OWNER(RULE("Everybody")), "MalformedXML"],
  [OWNER(RULE("none")), "MalformedXML"],
  [OWNER(RULE("objectwriter")), "MalformedXML"],
  [OWNER(""), "MalformedXML"],
  [OWNER(RULE("ObjectWriter") + RULE("ObjectWriter")), "MalformedXML"],
  [OWNER("<Rule/>"), "MalformedXML"],
  ["<Ownership/>", "MalformedXML"],
])("ownership controls %s are %s", (document, outcome) => {
  expect(outcomeOf(OWNERSHIP_CONTROLS, document)).toBe(outcome);
});

const BLOCK = (switches: string) =>
  `<PublicAccessBlockConfiguration>${switches}</PublicAccessBlockConfiguration>`;

test("switches of a public access block that are left out are off", () => {
  const read = outcomeOf(PUBLIC_ACCESS_BLOCK, BLOCK("<BlockPublicPolicy>TRUE</BlockPublicPolicy>"));
  expect(read).toEqual({
    BlockPublicAcls: false,
    IgnorePublicAcls: false,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: false,
  });
});

test.each([
  "<BlockPublicPolicy>yes</BlockPublicPolicy>",
  "<BlockPublicPolicy/>",
  "<BlockEverything>true</BlockEverything>",
  "<IgnorePublicAcls>true</IgnorePublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>",
])("a public access block of %s is malformed", (switches) => {
  expect(outcomeOf(PUBLIC_ACCESS_BLOCK, BLOCK(switches))).toBe("MalformedXML");
});

const PAYER = (payer: string) =>
  `<RequestPaymentConfiguration>${payer}</RequestPaymentConfiguration>`;
const STATUS = (status: string) => `<AccelerateConfiguration>${status}</AccelerateConfiguration>`;
const LOGS = (logs: string) => `<BucketLoggingStatus>${logs}</BucketLoggingStatus>`;

test.each([
  [REQUEST_PAYMENT, PAYER("<Payer>BucketOwner</Payer>"), "BucketOwner"],
  [REQUEST_PAYMENT, PAYER("<Payer>Requester</Payer>"), "NotImplemented"],
  [REQUEST_PAYMENT, PAYER("<Payer>Nobody</Payer>"), "MalformedXML"],
  [REQUEST_PAYMENT, PAYER(""), "MalformedXML"],
  [ACCELERATE, STATUS("<Status>Suspended</Status>"), "Suspended"],
  [ACCELERATE, STATUS("<Status>Enabled</Status>"), "NotImplemented"],
  [ACCELERATE, STATUS("<Status>never</Status>"), "MalformedXML"],
  [ACCELERATE, STATUS(""), "MalformedXML"],
  [LOGGING, LOGS(""), "off"],
  [LOGGING, LOGS("<LoggingEnabled/>"), "NotImplemented"],
  [LOGGING, LOGS("<Logging/>"), "MalformedXML"],
] as ReadonlyArray<readonly [BucketSetting<string>, string, string]>)(
  "what cannot be changed is taken only as it is: %o",
  (setting, document, outcome) => {
    expect(outcomeOf(setting, document)).toBe(outcome);
  },
);

test("a setting is stored as its document, read once, and absent without bytes", () => {
  const bytes = BUCKET_TAGGING.encode([["a", "b = c"]]);
  expect(Buffer.from(bytes).toString()).toContain("<Value>b = c</Value>");
  const settings = new Map([["tagging", bytes]]);
  const value = BUCKET_TAGGING.of(settings);
  expect(value).toEqual([["a", "b = c"]]);
  expect(BUCKET_TAGGING.of(settings)).toBe(value);
  expect(BUCKET_TAGGING.of(new Map())).toBeUndefined();
});

test("stored bytes that make no sense are an internal error, never a guess", () => {
  for (const text of ["", "junk", PAYER("<Payer>Nobody</Payer>"), PAYER("<Payer/>")]) {
    const settings = new Map([["request-payment", Buffer.from(text)]]);
    expect(() => REQUEST_PAYMENT.of(settings)).toThrow(
      expect.objectContaining({ code: "InternalError" }),
    );
  }
});

test("a setting may have a form of its own in storage, and JSON as its document", () => {
  const flag = bucketSetting<boolean>({
    ...{ name: "flag", subresource: "flag", actions: { get: "GetFlag", put: "PutFlag" } },
    document: {
      kind: "json",
      read: (bytes) => Buffer.from(bytes).toString() === "true",
      write: String,
    },
    stored: {
      encode: (value) => Uint8Array.of(value ? 1 : 0),
      decode: (bytes) => bytes[0] === 1,
    },
    absent: { value: false },
  });
  expect([...flag.encode(true)]).toEqual([1]);
  expect(flag.of(new Map([["flag", Uint8Array.of(1)]]))).toBe(true);
  expect(readDocument(flag.document, Buffer.from("true"))).toBe(true);
  expect(writeDocument(flag.document, false)).toBe("false");
});
