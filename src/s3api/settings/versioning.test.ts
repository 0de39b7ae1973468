import { describe, expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { readDocument, writeDocument } from "./bucket-setting.ts";
import { VERSIONING } from "./versioning.ts";

const read = (inner: string) =>
  readDocument(
    VERSIONING.document,
    Buffer.from(`<VersioningConfiguration>${inner}</VersioningConfiguration>`),
  );

function refusalOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (failure) {
    if (failure instanceof S3Error) return `${failure.status} ${failure.code}: ${failure.message}`;
    throw failure;
  }
  throw new Error("it was accepted");
}

const WITHOUT_STATUS =
  "400 IllegalVersioningConfigurationException: The Versioning element must be specified";
const NO_SECOND_FACTOR = "403 AccessDenied: Mfa Authentication must be used for this request";

describe("the versioning of a bucket", () => {
  test.each([
    ["<Status>Enabled</Status>", "Enabled"],
    ["<Status>Suspended</Status>", "Suspended"],
    ["<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>", "Enabled"],
    ["<MfaDelete></MfaDelete><Status>Suspended</Status>", "Suspended"],
  ])("%s is read", (inner, state) => {
    expect(read(inner)).toBe(state);
  });

  test.each([
    ["", WITHOUT_STATUS],
    ["<Status></Status>", WITHOUT_STATUS],
    ["<MfaDelete>Disabled</MfaDelete>", WITHOUT_STATUS],
    ["<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", NO_SECOND_FACTOR],
  ])("%s is refused", (inner, refusal) => {
    expect(refusalOf(() => read(inner))).toBe(refusal);
  });

  test.each([
    "<Status>enabled</Status>",
    "<Status>Disabled</Status>",
    "<Status>Enabled</Status><Status>Suspended</Status>",
    "<Status><Enabled/></Status>",
    "<Status>Enabled</Status><MfaDelete>disabled</MfaDelete>",
    "<Status>Enabled</Status><Foo>bar</Foo>",
  ])("%s does not follow the schema", (inner) => {
    expect(refusalOf(() => read(inner))).toContain("400 MalformedXML");
  });

  test("a bucket that was never versioned has an empty document", () => {
    const { document, absent } = VERSIONING;
    expect(absent).toEqual({ value: "never" });
    expect(writeDocument(document, "never")).toMatch(
      /<VersioningConfiguration [^>]*><\/VersioningConfiguration>$/,
    );
    expect(writeDocument(document, "Suspended")).toContain("<Status>Suspended</Status>");
  });

  test("it is stored as the byte that storage reads in each commit", () => {
    expect([...VERSIONING.encode("Enabled")]).toEqual([1]);
    expect([...VERSIONING.encode("Suspended")]).toEqual([2]);
    expect(VERSIONING.of(new Map([["versioning", Uint8Array.of(2)]]))).toBe("Suspended");
    expect(VERSIONING.of(new Map())).toBeUndefined();
  });

  test.each([[], [0], [3], [1, 1]])("bytes %j are no state, and are not guessed at", (...bytes) => {
    const settings = new Map([["versioning", Uint8Array.from(bytes)]]);
    expect(refusalOf(() => VERSIONING.of(settings))).toContain("500 InternalError");
  });

  test("a bucket with object lock stays versioned", () => {
    const locked = new Map([["object-lock", Uint8Array.of(0)]]);
    expect(VERSIONING.check?.("Enabled", locked)).toBeUndefined();
    expect(VERSIONING.check?.("Suspended", new Map())).toBeUndefined();
    expect(refusalOf(() => VERSIONING.check?.("Suspended", locked))).toContain(
      "409 InvalidBucketState: An Object Lock configuration is present",
    );
  });
});
