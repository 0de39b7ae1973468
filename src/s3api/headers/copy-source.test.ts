import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import { parseCopySource } from "./copy-source.ts";

test.each([
  ["photos/cat.jpg", "cat.jpg", undefined],
  ["/photos/cat.jpg", "cat.jpg", undefined],
  ["/photos/a%2Fb", "a/b", undefined],
  ["/photos/a/b%3Fc", "a/b?c", undefined],
  ["/photos/a+b", "a b", undefined],
  ["/photos/a%2Bb", "a+b", undefined],
  ["/photos/a%20b", "a b", undefined],
  ["/photos/%252e", "%2e", undefined],
  ["/photos//x", "/x", undefined],
  ["/photos/../x", "../x", undefined],
  ["photos/k?versionId=null", "k", "null"],
  ["photos%2Fk", "k", undefined],
])("%s names the key %s", (header, key, version) => {
  expect(parseCopySource(header)).toEqual({ bucket: "photos", key, version });
});

test.each([
  ["", "InvalidArgument"],
  ["/", "InvalidArgument"],
  ["photos", "InvalidArgument"],
  ["photos/", "InvalidArgument"],
  ["/photos/%ff", "InvalidArgument"],
  ["/photos/%", "InvalidArgument"],
  ["/photos/k?other=1", "InvalidArgument"],
  ["/photos/k?versionId=1&x=2", "InvalidArgument"],
  ["/Photos!/k", "InvalidArgument"],
  ["ab/k", "InvalidArgument"],
  ["/Old_Photos/k", "NoSuchBucket"],
  [`/photos/${"k".repeat(1025)}`, "KeyTooLongError"],
  ["arn:aws:s3:us-east-1:1:accesspoint/a/object/k", "NotImplemented"],
])("%s is refused as %s", (header, code) => {
  expect(() => parseCopySource(header)).toThrow(expect.objectContaining({ code }));
});

test("any key reads back from its encoded form", () => {
  const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(key, (text) => {
      fc.pre(!text.includes("\0") && text.isWellFormed());
      expect(parseCopySource(`/photos/${encodeURIComponent(text)}`).key).toBe(text);
    }),
  );
});

test("any header at all is read or refused, never a crash", () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      try {
        parseCopySource(header);
      } catch (failure) {
        expect(failure).toBeInstanceOf(S3Error);
      }
    }),
  );
});
