import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import { readDocument, writeDocument } from "./bucket-setting.ts";
import { CORS } from "./cors.ts";
import { WEBSITE } from "./website.ts";

const header = fc.stringMatching(/^[A-Za-z0-9.:/-]{1,12}$/);
const pattern = fc
  .tuple(header, fc.constantFrom("", "*"), fc.constantFrom("", "x"))
  .map((parts) => parts.join(""));
const rule = fc.record({
  id: fc.option(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 }), {
    nil: undefined,
  }),
  origins: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  methods: fc.array(fc.constantFrom("GET", "PUT", "HEAD", "POST", "DELETE"), { minLength: 1 }),
  headers: fc.array(pattern, { maxLength: 3 }),
  exposed: fc.array(header, { maxLength: 3 }),
  maxAgeSeconds: fc.option(fc.nat(), { nil: undefined }),
});

test("rules are stored as they were read", () => {
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), (rules) => {
      const settings = new Map([["cors", CORS.encode(rules)]]);
      expect(CORS.of(settings)).toEqual(rules);
    }),
  );
});

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const wish = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const replace = fc.record({ kind: fc.constantFrom("prefix", "key"), text });
const redirect = fc
  .record({
    protocol: wish(fc.constantFrom("http", "https")),
    hostName: wish(fc.constant("host.test:9000")),
    replace: wish(replace),
    status: wish(fc.integer({ min: 301, max: 399 })),
  })
  .filter((value) => Object.values(value).some((part) => part !== undefined));
const routing = fc.record({
  keyPrefix: wish(text),
  errorStatus: wish(fc.integer({ min: 400, max: 599 })),
  redirect,
});
const suffix = text.filter((value) => value.trim() === value && !value.includes("/"));
const pages = fc.record({
  kind: fc.constant("pages"),
  indexSuffix: suffix,
  errorKey: wish(text),
  rules: fc.array(routing, { maxLength: 4 }),
});

test("websites are stored as they were read", () => {
  fc.assert(
    fc.property(pages, (website) => {
      const document = writeDocument(WEBSITE.document, website as never);
      expect(readDocument(WEBSITE.document, Buffer.from(document))).toEqual(website);
    }),
  );
});

test("rules that nobody can read are our fault, and are not guessed", () => {
  const settings = new Map([["cors", Buffer.from("<CORSConfiguration/>")]]);
  let code = "read";
  try {
    CORS.of(settings);
  } catch (failure) {
    if (failure instanceof S3Error) code = failure.code;
  }
  expect(code).toBe("InternalError");
});
