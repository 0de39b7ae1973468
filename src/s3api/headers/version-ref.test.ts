import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import { parseQuery } from "../target.ts";
import { parseVersionRef, versionOf } from "./version-ref.ts";

const ID = "0123456789abcdef0123456789abcdef";

function refusalOf(text: string): S3Error {
  try {
    parseVersionRef(text, "versionId");
  } catch (failure) {
    if (failure instanceof S3Error) return failure;
    throw failure;
  }
  throw new Error(`${JSON.stringify(text)} was taken for a version id`);
}

describe("version ids", () => {
  test("ours and the null version are taken as they are", () => {
    expect(parseVersionRef(ID, "versionId")).toBe(ID);
    expect(parseVersionRef("null", "versionId")).toBe("null");
  });

  test("the empty one has a message of its own, as at AWS", () => {
    const error = refusalOf("");
    expect(error.code).toBe("InvalidArgument");
    expect(error.message).toBe("Version id cannot be the empty string");
    expect(error.fields).toEqual({ ArgumentName: "versionId", ArgumentValue: "" });
  });

  test.each(["abc", "NULL", "undefined", ID.toUpperCase(), `${ID}0`, ` ${ID}`, `${ID}\0`, "0"])(
    "%j is none",
    (text) => {
      const error = refusalOf(text);
      expect(error.code).toBe("InvalidArgument");
      expect(error.message).toBe("Invalid version id specified");
      expect(error.fields["ArgumentValue"]).toBe(text);
    },
  );

  test("whatever else comes is refused with 400 and nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(text !== "null" && !/^[0-9a-f]{32}$/.test(text));
        expect(refusalOf(text).status).toBe(400);
      }),
    );
  });

  test("a query without the parameter means the current version; an empty one does not", () => {
    expect(versionOf(parseQuery("partNumber=1"))).toBeUndefined();
    expect(versionOf(parseQuery(`versionId=${ID}`))).toBe(ID);
    expect(() => versionOf(parseQuery("versionId"))).toThrow(S3Error);
    expect(() => versionOf(parseQuery("versionId="))).toThrow(S3Error);
  });
});
