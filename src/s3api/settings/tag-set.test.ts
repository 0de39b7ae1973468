import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { parseXml } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { checkedTags, readTagging, TAGGED_BUCKET, TAGGED_OBJECT, writeTagging } from "./tag-set.ts";

function read(tags: string, tagged = TAGGED_OBJECT) {
  const document = `<Tagging><TagSet>${tags}</TagSet></Tagging>`;
  return readTagging(parseXml(Buffer.from(document), "Tagging"), tagged);
}

const tag = (key: string, value = "v") => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
const many = (count: number) => Array.from({ length: count }, (_, at) => tag(`k${at}`)).join("");

test("tags are read from a document and sorted by key; a set may be empty", () => {
  expect(read(tag("b", "") + tag("a", " x "))).toEqual([
    ["a", " x "],
    ["b", ""],
  ]);
  expect(read("")).toEqual([]);
});

test.each([
  ["no value", "<Tag><Key>a</Key></Tag>", "MalformedXML"],
  ["no key", "<Tag><Value>a</Value></Tag>", "MalformedXML"],
  ["two keys", "<Tag><Key>a</Key><Key>b</Key><Value/></Tag>", "MalformedXML"],
  ["an unknown element", "<Tag><Key>a</Key><Value/><Other/></Tag>", "MalformedXML"],
  ["something that is no tag", "<Label/>", "MalformedXML"],
  ["an empty key", tag(""), "InvalidTag"],
  ["a key of 129", tag("k".repeat(129)), "InvalidTag"],
  ["a key of 65 letters that take two units", tag("\u{20000}".repeat(65)), "InvalidTag"],
  ["a value of 257", tag("k", "v".repeat(257)), "InvalidTag"],
  ["a sign that is not allowed", tag("a&amp;b"), "InvalidTag"],
  ["a control character", tag("a&#7;"), "InvalidTag"],
  ["AWS's own prefix", tag("AWS:name"), "InvalidTag"],
  ["a key twice", tag("a") + tag("b") + tag("a"), "InvalidTag"],
  ["eleven tags", many(11), "BadRequest"],
  ["eleven tags, one of them wrong", tag("") + many(10), "InvalidTag"],
])("%s is refused", (_name, tags, code) => {
  expect(() => read(tags)).toThrow(expect.objectContaining({ code }));
});

test("the most that is allowed is allowed", () => {
  expect(read(many(10))).toHaveLength(10);
  expect(read(many(50), TAGGED_BUCKET)).toHaveLength(50);
  expect(() => read(many(51), TAGGED_BUCKET)).toThrow("50");
  const long = tag("\u{20000}".repeat(64), "é".repeat(256));
  expect(read(long)[0]?.[0]).toHaveLength(128);
  expect(read(tag("Straße 東京_.:/=+-@", "aws:is fine here"))).toHaveLength(1);
});

test("what is written is read again", () => {
  const text = fc.stringMatching(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,40}$/u);
  const tags = fc.uniqueArray(fc.tuple(text, text), { maxLength: 10, selector: ([key]) => key });
  fc.assert(
    fc.property(tags, (set) => {
      fc.pre(set.every(([key]) => !key.toLowerCase().startsWith("aws:")));
      const sorted = checkedTags(set, TAGGED_OBJECT);
      const xml = new XmlWriter("Tagging");
      writeTagging(xml, sorted);
      const read = readTagging(parseXml(Buffer.from(xml.finish()), "Tagging"), TAGGED_OBJECT);
      expect(read).toEqual(sorted);
    }),
  );
});
