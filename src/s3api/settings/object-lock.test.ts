import { describe, expect, test } from "vitest";
import { VERSIONING_SETTING, versioningSetting } from "../../core/bucket-versioning.ts";
import { S3Error } from "../errors.ts";
import { readDocument, writeDocument } from "./bucket-setting.ts";
import { OBJECT_LOCK } from "./object-lock.ts";

const { document } = OBJECT_LOCK;
const read = (xml: string) => readDocument(document, Buffer.from(xml));
const configuration = (inside: string) =>
  `<ObjectLockConfiguration>${inside}</ObjectLockConfiguration>`;
const ON = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
const rule = (inside: string) =>
  configuration(`${ON}<Rule><DefaultRetention>${inside}</DefaultRetention></Rule>`);

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

describe("an object lock document", () => {
  test.each([
    [configuration(ON), undefined],
    [rule("<Mode>GOVERNANCE</Mode><Days>1</Days>"), { mode: "GOVERNANCE", unit: "days", count: 1 }],
    [
      rule("<Mode>COMPLIANCE</Mode><Years>100</Years>"),
      { mode: "COMPLIANCE", unit: "years", count: 100 },
    ],
  ])("%s is read, kept and written", (xml, defaultRetention) => {
    const value = read(xml);
    expect(value).toEqual({ defaultRetention });
    expect(writeDocument(document, value)).toContain(xml.slice("<ObjectLockConfiguration>".length));
    expect(OBJECT_LOCK.of(new Map([[OBJECT_LOCK.name, OBJECT_LOCK.encode(value)]]))).toEqual(value);
  });

  test.each([
    [configuration(""), "MalformedXML"],
    [configuration("<ObjectLockEnabled>Disabled</ObjectLockEnabled>"), "MalformedXML"],
    [configuration(`${ON}<Rule/>`), "MalformedXML"],
    [rule(""), "MalformedXML"],
    [rule("<Mode>GOVERNANCE</Mode>"), "MalformedXML"],
    [rule("<Days>1</Days>"), "MalformedXML"],
    [rule("<Mode>governance</Mode><Days>1</Days>"), "MalformedXML"],
    [rule("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"), "MalformedXML"],
    [rule("<Mode>GOVERNANCE</Mode><Days>one</Days>"), "MalformedXML"],
    [rule("<Mode>GOVERNANCE</Mode><Days>0</Days>"), "InvalidRetentionPeriod"],
    [rule("<Mode>GOVERNANCE</Mode><Years>-1</Years>"), "InvalidRetentionPeriod"],
    [rule("<Mode>GOVERNANCE</Mode><Days>36501</Days>"), "InvalidRetentionPeriod"],
    [rule("<Mode>GOVERNANCE</Mode><Years>101</Years>"), "InvalidRetentionPeriod"],
  ])("%s is refused", (xml, code) => {
    expect(codeOf(() => read(xml))).toBe(code);
  });

  test("needs a bucket whose versioning is enabled", () => {
    const value = { defaultRetention: undefined };
    const check = (settings: Map<string, Uint8Array>) =>
      codeOf(() => OBJECT_LOCK.check?.(value, settings));
    expect(check(new Map())).toBe("InvalidBucketState");
    const suspended = new Map([[VERSIONING_SETTING, versioningSetting("suspended")]]);
    expect(check(suspended)).toBe("InvalidBucketState");
    const enabled = new Map([[VERSIONING_SETTING, versioningSetting("enabled")]]);
    expect(check(enabled)).toBeUndefined();
  });

  test("whose stored bytes make no sense is an error, and never no lock", () => {
    const broken = new Map([[OBJECT_LOCK.name, Buffer.of(1, 1, 9)]]);
    expect(codeOf(() => OBJECT_LOCK.of(broken))).toBe("InternalError");
  });
});
