import { expect, test } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { childNamed, childrenNamed, childText, parseXml, requireKnownChildren } from "./reader.ts";

function read(text: string | Uint8Array) {
  return parseXml(typeof text === "string" ? Buffer.from(text) : text, "Delete");
}

function codeOf(text: string | Uint8Array): string {
  try {
    read(text);
    return "accepted";
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

test("a document is read whatever its prefixes, attributes, comments and declaration", () => {
  const root = read(
    '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- hello -->\n' +
      '<s3:Delete xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" a="1>2">\n' +
      "  <s3:Object><s3:Key>a</s3:Key></s3:Object>\n" +
      "  <Object><Key>b</Key><!-- no --><VersionId/></Object>\n" +
      "  <Quiet>true</Quiet>\n</s3:Delete>\n",
  );
  const objects = childrenNamed(root, "Object");
  expect(objects.map((object) => childText(object, "Key"))).toEqual(["a", "b"]);
  expect(objects.map((object) => childText(object, "VersionId"))).toEqual([undefined, ""]);
  expect(childText(root, "Quiet")).toBe("true");
  expect(childText(root, "quiet")).toBeUndefined();
});

test.each([
  ["white space", "<Key>  a \n b  </Key>", "  a \n b  "],
  ["the five entities", "<Key>&lt;&gt;&amp;&quot;&apos;</Key>", "<>&\"'"],
  ["references by number", "<Key>&#65;&#x42;&#x1F600;&#13;&#1;</Key>", "AB😀\r\x01"],
  ["a reference that spells another", "<Key>&amp;lt;</Key>", "&lt;"],
  ["CDATA", "<Key>a<![CDATA[<b>&amp;]]>c</Key>", "a<b>&amp;c"],
  ["a number", "<Key>0x10</Key>", "0x10"],
  ["a long number", "<Key>12345678901234567890</Key>", "12345678901234567890"],
  ["a truth", "<Key>true</Key>", "true"],
  ["nothing", "<Key></Key>", ""],
])("text is kept exactly: %s", (_name, markup, expected) => {
  expect(childText(read(`<Delete>${markup}</Delete>`), "Key")).toBe(expected);
});

test("names of JavaScript's own are refused or are names like any other", () => {
  expect(codeOf("<Delete><__proto__><polluted>1</polluted></__proto__></Delete>")).toBe(
    "MalformedXML",
  );
  for (const name of ["constructor", "prototype", "toString", "hasOwnProperty"]) {
    expect(["accepted", "MalformedXML"]).toContain(codeOf(`<Delete><${name}>1</${name}></Delete>`));
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test.each([
  ["nothing", ""],
  ["white space", "  \n"],
  ["text", "hello"],
  ["JSON", '{"Delete":{}}'],
  ["another root", "<Remove/>"],
  ["the root in other letters", "<delete/>"],
  ["two roots", "<Delete/><Delete/>"],
  ["text behind the root", "<Delete/>x"],
  ["text before the root", "x<Delete/>"],
  ["an open element", "<Delete><Key>a</Delete>"],
  ["crossed elements", "<Delete><a><b></a></b></Delete>"],
  ["an end without beginning", "</Delete>"],
  ["a cut tag", "<Delete"],
  ["an attribute without quotes", "<Delete a=b></Delete>"],
  ["an unknown entity", "<Delete><Key>&nbsp;</Key></Delete>"],
  ["an ampersand alone", "<Delete><Key>a & b</Key></Delete>"],
  ["an endless reference", `<Delete><Key>&#${"0".repeat(100_000)}65;</Key></Delete>`],
  ["a reference to NUL", "<Delete><Key>&#0;</Key></Delete>"],
  ["a reference to half a character", "<Delete><Key>&#xD800;</Key></Delete>"],
  ["a reference beyond Unicode", "<Delete><Key>&#x110000;</Key></Delete>"],
  ["a huge reference", "<Delete><Key>&#99999999;</Key></Delete>"],
  ["a NUL", "<Delete><Key>a\0b</Key></Delete>"],
  ["an instruction", '<Delete><?php echo "x" ?></Delete>'],
  ["a style sheet", '<?xml-stylesheet href="x"?><Delete/>'],
  ["another encoding", '<?xml version="1.0" encoding="UTF-16"?><Delete/>'],
  ["a document type", "<!DOCTYPE Delete><Delete/>"],
  ["a document type in small letters", "<!doctype Delete><Delete/>"],
  ["bytes that are not UTF-8", Buffer.from([0x3c, 0x44, 0xff, 0xfe])],
  ["UTF-16", Buffer.from("\ufeff<Delete/>", "utf16le")],
  ["overlong UTF-8", Buffer.concat([Buffer.from("<Delete>"), Buffer.from([0xc0, 0xbc])])],
])("%s is malformed", (_name, text) => {
  expect(codeOf(text)).toBe("MalformedXML");
});

/** One test for each published advisory of the parser, and the classics. */
test.each([
  [
    "CVE-2026-26278: an entity that is large and often used",
    `<!DOCTYPE Delete [<!ENTITY a "${"A".repeat(70_000)}">]>` +
      `<Delete>${"&a;".repeat(10_000)}</Delete>`,
  ],
  [
    "CVE-2026-33036: references by number past every limit of expansion",
    `<!DOCTYPE Delete [<!ENTITY b "x">]><Delete>${"&#65;".repeat(100_000)}&b;</Delete>`,
  ],
  [
    "GHSA-jp2q-39xq-3w4g: limits of expansion that read as unset",
    '<!DOCTYPE Delete [<!ENTITY a "1"><!ENTITY c "&a;&a;">]><Delete>&c;</Delete>',
  ],
  [
    "CVE-2026-25896: an entity whose dots match the predefined ones",
    '<!DOCTYPE Delete [<!ENTITY l. "<b>">]><Delete><Key>&lt;</Key></Delete>',
  ],
  [
    "CVE-2026-25128: a reference by number beyond what there is",
    "<Delete><Key>&#9999999;</Key></Delete>",
  ],
  [
    "billion laughs",
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;">]>' +
      "<Delete>&c;</Delete>",
  ],
  [
    "an external entity",
    '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Key>&x;</Key></Delete>',
  ],
  ["depth", `${"<Delete>".repeat(100_000)}${"</Delete>".repeat(100_000)}`],
  ["depth just beyond the limit", `${"<Delete>".repeat(40)}${"</Delete>".repeat(40)}`],
  ["very many elements", `<Delete>${"<a/>".repeat(300_000)}</Delete>`],
])("[S66] [N7] refused quickly: %s", (_name, text) => {
  expect(codeOf(text)).toBe("MalformedXML");
});

test("a hundred thousand references by number stay what they are: that many characters", () => {
  const text = `<Delete><Key>${"&#65;".repeat(100_000)}</Key></Delete>`;
  expect(childText(read(text), "Key")).toBe("A".repeat(100_000));
});

test("ten thousand attributes are read past", () => {
  const attributes = Array.from({ length: 10_000 }, (_, at) => `a${at}="1"`).join(" ");
  expect(codeOf(`<Delete ${attributes}/>`)).toBe("accepted");
});

test("a body beyond the limit is not looked at", () => {
  expect(codeOf(new Uint8Array(LIMITS.xmlBodyBytesMax + 1))).toBe("MaxMessageLengthExceeded");
});

test("what may come once is refused twice, and text is no element", () => {
  const root = read("<Delete><Key>a</Key><Key>b</Key><Quiet><x/></Quiet></Delete>");
  expect(() => childNamed(root, "Key")).toThrow(S3Error);
  expect(() => childText(root, "Quiet")).toThrow(S3Error);
  expect(() => requireKnownChildren(root, ["Key"])).toThrow(S3Error);
  expect(() => requireKnownChildren(root, ["Key", "Quiet"])).not.toThrow();
});

test("completing ten thousand parts with checksums fits", () => {
  const part =
    "<Part><PartNumber>1</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>" +
    "<ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ChecksumSHA256></Part>";
  const root = read(`<Delete>${part.repeat(10_000)}</Delete>`);
  expect(childrenNamed(root, "Part")).toHaveLength(10_000);
});
