import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import { renderError } from "./error-document.ts";
import { childText, parseXml } from "./reader.ts";
import { escapeXml, XmlWriter } from "./writer.ts";

test("a document has its declaration, S3's namespace and what was written", () => {
  const xml = new XmlWriter("ListBucketResult");
  xml.text("Name", "photos");
  xml.open("Contents");
  xml.text("Key", "a&b <c>");
  xml.text("ETag", '"0123"');
  xml.close();
  xml.open("Grantee", { "xsi:type": 'say "hi"' });
  expect(xml.finish()).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name>' +
      "<Contents><Key>a&amp;b &lt;c&gt;</Key><ETag>&quot;0123&quot;</ETag></Contents>" +
      '<Grantee xsi:type="say &quot;hi&quot;"></Grantee></ListBucketResult>',
  );
});

test("a root with text alone is one call", () => {
  expect(XmlWriter.leaf("LocationConstraint", "eu&")).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu&amp;' +
      "</LocationConstraint>",
  );
});

test("control characters are written by number, line feeds and tabs as they are", () => {
  expect(escapeXml("a\x01b\rc\n\td\x1f\ufffe")).toBe("a&#x1;b&#13;c\n\td&#x1f;&#xfffe;");
  expect(escapeXml("plain é 😀")).toBe("plain é 😀");
});

test("any key that is written is read back the same", () => {
  const key = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(key, (text) => {
      const xml = new XmlWriter("Delete");
      xml.text("Key", text);
      expect(childText(parseXml(Buffer.from(xml.finish()), "Delete"), "Key")).toBe(text);
    }),
  );
});

test("an error document carries code, message, fields and where it happened", () => {
  const error = new S3Error("NoSuchKey", {
    fields: { Key: "<script>" },
    cause: new Error("a secret path"),
  });
  const place = { resource: "/photos/%3Cscript%3E", requestId: "R1", hostId: "H1" };
  expect(renderError(error, place)).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>" +
      "<Key>&lt;script&gt;</Key><Resource>/photos/%3Cscript%3E</Resource>" +
      "<RequestId>R1</RequestId><HostId>H1</HostId></Error>",
  );
});
