import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { type FormHead, FormParser } from "./form-parser.ts";

type Part = { readonly head: string; readonly content: Buffer | string };
type Outcome =
  | { readonly head: FormHead; readonly file: string }
  | { readonly code: string; readonly file: string | undefined };

const BOUNDARY = "----WebKitFormBoundary7MA4YWxk";

function field(name: string, content: string): Part {
  return { head: `Content-Disposition: form-data; name="${name}"`, content };
}

function file(content: Buffer | string, filename?: string): Part {
  const suffix = filename === undefined ? "" : `; filename="${filename}"`;
  const head = `Content-Disposition: form-data; name="file"${suffix}\r\nContent-Type: text/plain`;
  return { head, content };
}

function formOf(parts: readonly Part[], boundary = BOUNDARY): Buffer {
  const pieces = parts.flatMap(({ head, content }) => [
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

/** Reads a form in the given pieces; file bytes as Latin-1, so that outcomes can be compared. */
function read(pieces: readonly Uint8Array[], boundary = BOUNDARY): Outcome {
  let head: FormHead | undefined;
  const data: Buffer[] = [];
  const parser = new FormParser(boundary, {
    fileBegins: (found) => {
      head = { fields: [...found.fields], filename: found.filename };
    },
    fileData: (bytes) => data.push(Buffer.from(bytes)),
  });
  const content = () => Buffer.concat(data).toString("latin1");
  try {
    for (const piece of pieces) {
      // An engine uses its memory again.
      const memory = Buffer.from(piece);
      parser.push(memory);
      memory.fill(0xee);
    }
    parser.finish();
  } catch (failure) {
    if (!(failure instanceof S3Error)) throw failure;
    return { code: failure.code, file: head === undefined ? undefined : content() };
  }
  if (head === undefined) throw new Error("a form without a file was accepted");
  return { head, file: content() };
}

function codeOf(body: Buffer | string): string {
  const outcome = read([Buffer.from(body)]);
  return "code" in outcome ? outcome.code : "accepted";
}

test("a form gives its fields in order, and the file after them", () => {
  const form = formOf([
    field("key", `a/\${filename}`),
    field("x-amz-meta-é", "ü"),
    file("bar", "f"),
  ]);
  expect(read([form])).toEqual({
    head: {
      fields: [
        ["key", `a/\${filename}`],
        ["x-amz-meta-é", "ü"],
      ],
      filename: "f",
    },
    file: "bar",
  });
});

test("the file is known by its name, and other parts may have a filename", () => {
  const head = 'Content-Disposition: form-data; name="key"; filename="key"';
  const form = formOf([{ head, content: "k" }, file("x")]);
  expect(read([form])).toEqual({
    head: { fields: [["key", "k"]], filename: undefined },
    file: "x",
  });
});

test.each([
  ["nothing", ""],
  ["line breaks", "\r\n\r\n"],
  ["what looks like the delimiter", `\r\n--${BOUNDARY.slice(0, -1)}\r\n--`],
  ["the delimiter without its line break", `--${BOUNDARY}--`],
])("a file may hold %s", (_name, content) => {
  expect(read([formOf([field("key", "k"), file(content)])])).toMatchObject({ file: content });
});

test("what follows the file is ignored, whatever it is", () => {
  const form = formOf([field("key", "k"), file("first"), file("second"), field("key", "late")]);
  expect(read([form])).toEqual({
    head: { fields: [["key", "k"]], filename: undefined },
    file: "first",
  });
});

test("text before the first delimiter and padding behind delimiters mean nothing", () => {
  const text = formOf([field("key", "k"), file("x")]).toString();
  const padded = `preamble\r\n${text.replaceAll(`${BOUNDARY}\r\n`, `${BOUNDARY} \t\r\n`)}epilogue`;
  expect(read([Buffer.from(padded)])).toEqual(read([Buffer.from(text)]));
});

const WHOLE = formOf([field("key", "k"), file("content")]).toString();
test.each([
  ["an empty body", "", "MalformedPOSTRequest"],
  ["a form without parts", `--${BOUNDARY}--\r\n`, "IncorrectNumberOfFilesInPostRequest"],
  ["no file", formOf([field("key", "k")]), "IncorrectNumberOfFilesInPostRequest"],
  ["a file that never ends", WHOLE.slice(0, WHOLE.indexOf("tent")), "MalformedPOSTRequest"],
  ["a form cut in its last delimiter", WHOLE.slice(0, -3), "MalformedPOSTRequest"],
  ["line feeds alone", WHOLE.replaceAll("\r\n", "\n"), "MalformedPOSTRequest"],
  ["a part without a head", `--${BOUNDARY}\r\n\r\nx\r\n--${BOUNDARY}--`, "MalformedPOSTRequest"],
  ["text behind a delimiter", WHOLE.replace(BOUNDARY, `${BOUNDARY}x`), "MalformedPOSTRequest"],
  ["one dash behind a delimiter", WHOLE.replace(BOUNDARY, `${BOUNDARY}-`), "MalformedPOSTRequest"],
  [
    "a delimiter with endless padding",
    `--${BOUNDARY}${" ".repeat(2000)}\r\n`,
    "MalformedPOSTRequest",
  ],
  [
    "bytes that are not UTF-8",
    Buffer.from(WHOLE.replace("\r\n\r\nk", "\r\n\r\n\xff"), "latin1"),
    "MalformedPOSTRequest",
  ],
  [
    "fields beyond 20 KiB",
    formOf([field("a", "x".repeat(LIMITS.formFieldsBytesMax)), file("")]),
    "MaxPostPreDataLengthExceededError",
  ],
  [
    "a head without end",
    `--${BOUNDARY}\r\n${"a: b\r\n".repeat(20_000)}`,
    "MaxPostPreDataLengthExceededError",
  ],
  [
    "a file under another name",
    formOf([field("upload", "x".repeat(100_000))]),
    "MaxPostPreDataLengthExceededError",
  ],
])("%s is refused", (_name, body, code) => {
  expect(codeOf(body)).toBe(code);
});

test("fields of 20 KiB are taken", () => {
  const value = "x".repeat(LIMITS.formFieldsBytesMax - 1);
  expect(codeOf(formOf([field("a", value), file("")]))).toBe("accepted");
});

describe("any splitting of the bytes", () => {
  const content = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.constantFrom(`\r\n--${BOUNDARY}`, "\r\n", "\r", "--", `\r\n--${BOUNDARY}--`, "\r\n--"),
  );
  const body = fc
    .array(fc.oneof(content, fc.constant(WHOLE), fc.constantFrom("k", "content", ": ", '"')), {
      maxLength: 5,
    })
    .map((pieces) => pieces.join(""));
  const form = fc.oneof(
    fc
      .tuple(content, content, content)
      .map(([key, data, late]) => formOf([field("key", key), file(data), field("late", late)])),
    fc.tuple(body, body).map(([before, after]) => Buffer.from(`${before}${WHOLE}${after}`)),
    body.map((text) => Buffer.from(text)),
  );

  test("gives the same result as one piece", () => {
    fc.assert(
      fc.property(form, fc.array(fc.nat(), { maxLength: 30 }), (bytes, cuts) => {
        const edges = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
        const pieces = [0, ...edges].map((from, at) => bytes.subarray(from, edges[at]));
        expect(read(pieces)).toEqual(read([bytes]));
      }),
    );
  });

  test("gives the same result byte by byte", () => {
    fc.assert(
      fc.property(form, (bytes) => {
        const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
        expect(read(pieces)).toEqual(read([bytes]));
      }),
      { numRuns: 50 },
    );
  });
});
