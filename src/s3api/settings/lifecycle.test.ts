import { describe, expect, test } from "vitest";
import type { LifecycleRule } from "../../core/lifecycle.ts";
import { S3Error } from "../errors.ts";
import { readDocument, writeDocument } from "./bucket-setting.ts";
import { LIFECYCLE, readTransitionSize } from "./lifecycle.ts";

const { document } = LIFECYCLE;
const read = (xml: string) => readDocument(document, Buffer.from(xml));
const configuration = (...rules: string[]) =>
  `<LifecycleConfiguration>${rules.map((rule) => `<Rule>${rule}</Rule>`).join("")}` +
  "</LifecycleConfiguration>";
const ON = "<Status>Enabled</Status>";
const ALL = "<Filter/>";
const DAY = "<Expiration><Days>1</Days></Expiration>";

function codeOf(xml: string): string | undefined {
  try {
    read(xml);
    return undefined;
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

describe("a lifecycle document", () => {
  const forms: ReadonlyArray<readonly [string, string, LifecycleRule["form"], object]> = [
    ["the old form", "<Prefix>logs/</Prefix>", "prefix", { prefix: "logs/" }],
    ["the old form for all", "<Prefix/>", "prefix", { prefix: "" }],
    ["an empty filter", "<Filter/>", "filter", { prefix: undefined }],
    ["a prefix", "<Filter><Prefix>a</Prefix></Filter>", "filter", { prefix: "a" }],
    [
      "a tag",
      "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>",
      "filter",
      { tags: [["k", "v"]] },
    ],
    [
      "a size",
      "<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>",
      "filter",
      { sizeGreaterThan: 0 },
    ],
    [
      "everything",
      "<Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value/></Tag><Tag><Key>a</Key>" +
        "<Value>b</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>" +
        "<ObjectSizeLessThan>2</ObjectSizeLessThan></And></Filter>",
      "and",
      {
        prefix: "p",
        tags: [
          ["k", ""],
          ["a", "b"],
        ],
        sizeGreaterThan: 1,
        sizeLessThan: 2,
      },
    ],
  ];
  test.each(forms)("with %s is read, and written as it came", (_what, filter, form, holds) => {
    const value = read(configuration(`<ID>i</ID>${filter}${ON}${DAY}`));
    expect(value.rules[0]).toMatchObject({ id: "i", enabled: true, form, filter: holds });
    const written = writeDocument(document, value);
    expect(read(written)).toEqual(value);
    expect(LIFECYCLE.of(new Map([[LIFECYCLE.name, LIFECYCLE.encode(value)]]))).toEqual(value);
  });

  test.each([
    ["<Expiration><Date>2030-01-02T00:00:00Z</Date></Expiration>", "2030-01-02T00:00:00.000Z"],
    ["<Expiration><Date>2030-01-02</Date></Expiration>", "2030-01-02T00:00:00.000Z"],
    ["<Expiration><Date>2030-01-02T02:00:00+02:00</Date></Expiration>", "2030-01-02T00:00:00.000Z"],
  ])("with %s expires at that midnight", (expiration, date) => {
    const value = read(configuration(`${ALL}${ON}${expiration}`));
    expect(writeDocument(document, value)).toContain(`<Date>${date}</Date>`);
  });

  test("keeps every action", () => {
    const actions =
      "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>" +
      "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>" +
      "<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>" +
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>" +
      "</AbortIncompleteMultipartUpload>";
    const value = read(configuration(`<ID>x</ID>${ALL}<Status>Disabled</Status>${actions}`));
    expect(value.rules[0]).toMatchObject({
      enabled: false,
      expiration: { kind: "markers", remove: true },
      noncurrent: { days: 3, keep: 5 },
      abortUploadDays: 7,
    });
    expect(writeDocument(document, value)).toContain(actions);
  });

  test("gives rules without a name one, different ones and the same each time", () => {
    const twice = configuration(`${ALL}${ON}${DAY}`, `<ID/>${ALL}${ON}${DAY}`);
    const ids = read(twice).rules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    expect(read(twice).rules.map(({ id }) => id)).toEqual(ids);
    expect(ids.every((id) => id.length > 0 && id.length <= 255)).toBe(true);
  });

  const tagged = "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>";
  const sized = "<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>";
  const abort =
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>" +
    "</AbortIncompleteMultipartUpload>";
  const markers =
    "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
  const noncurrent = (inside: string) =>
    `<NoncurrentVersionExpiration>${inside}</NoncurrentVersionExpiration>`;
  test.each([
    ["no rules", [], "MalformedXML"],
    ["1001 rules", Array(1001).fill(`${ALL}${ON}${DAY}`), "MalformedXML"],
    ["no status", [`${ALL}${DAY}`], "MalformedXML"],
    ["another status", [`${ALL}<Status>enabled</Status>${DAY}`], "MalformedXML"],
    ["neither prefix nor filter", [`${ON}${DAY}`], "MalformedXML"],
    ["prefix and filter", [`<Prefix/>${ALL}${ON}${DAY}`], "MalformedXML"],
    ["both forms", [`<Prefix/>${ON}${DAY}`, `${ALL}${ON}${DAY}`], "InvalidRequest"],
    ["no action", [`${ALL}${ON}`], "InvalidRequest"],
    [
      "one id twice",
      [`<ID>a</ID>${ALL}${ON}${DAY}`, `<ID>a</ID>${ALL}${ON}${DAY}`],
      "InvalidArgument",
    ],
    ["a long id", [`<ID>${"a".repeat(256)}</ID>${ALL}${ON}${DAY}`], "InvalidArgument"],
    ["a long prefix", [`<Prefix>${"a".repeat(1025)}</Prefix>${ON}${DAY}`], "InvalidRequest"],
    ["0 days", [`${ALL}${ON}<Expiration><Days>0</Days></Expiration>`], "InvalidArgument"],
    ["-1 days", [`${ALL}${ON}<Expiration><Days>-1</Days></Expiration>`], "InvalidArgument"],
    ["half days", [`${ALL}${ON}<Expiration><Days>0.5</Days></Expiration>`], "MalformedXML"],
    [
      "endless days",
      [`${ALL}${ON}<Expiration><Days>9999999999</Days></Expiration>`],
      "MalformedXML",
    ],
    ["an empty expiration", [`${ALL}${ON}<Expiration/>`], "MalformedXML"],
    [
      "days and a date",
      [`${ALL}${ON}<Expiration><Days>1</Days><Date>2030-01-02T00:00:00Z</Date></Expiration>`],
      "MalformedXML",
    ],
    [
      "a date at noon",
      [`${ALL}${ON}<Expiration><Date>2030-01-02T12:00:00Z</Date></Expiration>`],
      "InvalidArgument",
    ],
    ["no date", [`${ALL}${ON}<Expiration><Date>20300102</Date></Expiration>`], "MalformedXML"],
    ["tags and uploads", [`${tagged}${ON}${DAY}${abort}`], "InvalidRequest"],
    ["sizes and uploads", [`${sized}${ON}${abort}`], "InvalidRequest"],
    ["tags and delete markers", [`${tagged}${ON}${markers}`], "InvalidRequest"],
    ["sizes and delete markers", [`${sized}${ON}${markers}`], "InvalidRequest"],
    ["no noncurrent days", [`${ALL}${ON}${noncurrent("")}`], "MalformedXML"],
    [
      "versions to keep without days",
      [`${ALL}${ON}${noncurrent("<NewerNoncurrentVersions>1</NewerNoncurrentVersions>")}`],
      "MalformedXML",
    ],
    [
      "too many versions to keep",
      [
        `${ALL}${ON}${noncurrent(
          "<NoncurrentDays>1</NoncurrentDays>" +
            "<NewerNoncurrentVersions>101</NewerNoncurrentVersions>",
        )}`,
      ],
      "InvalidArgument",
    ],
    [
      "0 noncurrent days",
      [`${ALL}${ON}${noncurrent("<NoncurrentDays>0</NoncurrentDays>")}`],
      "InvalidArgument",
    ],
    [
      "two conditions outside And",
      [`<Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>${ON}${DAY}`],
      "MalformedXML",
    ],
    [
      "one condition in And",
      [`<Filter><And><Prefix>a</Prefix></And></Filter>${ON}${DAY}`],
      "MalformedXML",
    ],
    [
      "one tag twice",
      [
        "<Filter><And><Tag><Key>k</Key><Value>1</Value></Tag><Tag><Key>k</Key><Value>2</Value>" +
          `</Tag></And></Filter>${ON}${DAY}`,
      ],
      "InvalidTag",
    ],
    [
      "sizes that exclude each other",
      [
        "<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>" +
          `<ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>${ON}${DAY}`,
      ],
      "InvalidRequest",
    ],
    ["something unknown", [`${ALL}${ON}${DAY}<Wish/>`], "MalformedXML"],
    [
      "a transition",
      [`${ALL}${ON}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>`],
      "NotImplemented",
    ],
  ])("with %s is refused", (_what, rules, code) => {
    expect(codeOf(configuration(...rules))).toBe(code);
  });

  test("comes with a size for transitions, in AWS's words or not at all", () => {
    expect(readTransitionSize(undefined)).toBe("all_storage_classes_128K");
    expect(readTransitionSize("varies_by_storage_class")).toBe("varies_by_storage_class");
    expect(() => readTransitionSize("")).toThrow(S3Error);
  });
});
