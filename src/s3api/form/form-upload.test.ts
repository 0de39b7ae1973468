import { expect, test } from "vitest";
import type { BodySink } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import { FormUpload } from "./form-upload.ts";

const HEAD = '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n';
const END = "\r\n--b--\r\n";

/** A form whose bytes come when the test says so. */
function openForm(isSmall: boolean) {
  const calls: string[] = [];
  let sink: BodySink | undefined;
  let counted = 0;
  const exchange = {
    ...{ method: "POST", target: "/b", headers: headersOf({}), remoteAddress: "", secure: false },
    closed: false,
    onAbort: () => undefined,
    receive: (given: BodySink) => {
      sink = given;
    },
    pause: () => void calls.push("pause"),
    resume: () => void calls.push("resume"),
    send: () => undefined,
    sendHead: () => undefined,
    stream: () => undefined,
  };
  const received = (bytes: number): void => {
    counted += bytes;
  };
  const upload = new FormUpload({ exchange, boundary: "b", isSmall, received });
  return {
    upload,
    calls,
    counted: () => counted,
    data: (text: string) => {
      const memory = Buffer.from(text);
      sink?.data(memory);
      memory.fill(0xee);
    },
    end: () => sink?.end(),
    abort: () => sink?.abort(),
  };
}

/** What whoever stores the file gets to see. */
function collect(upload: FormUpload): string[] {
  const seen: string[] = [];
  upload.fileExchange().receive({
    data: (bytes) => seen.push(Buffer.from(bytes).toString()),
    end: () => seen.push("(end)"),
    abort: () => seen.push("(abort)"),
  });
  return seen;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
  return "resolved";
}

test("the client of a large form waits until its file is wanted", async () => {
  const form = openForm(false);
  form.data(`${HEAD}early`);
  await form.upload.head;
  expect(form.calls).toEqual(["pause"]);
  form.data(" late");
  const seen = collect(form.upload);
  expect(form.calls).toEqual(["pause", "resume"]);
  form.data(`r${END}`);
  expect(seen.join("")).toBe("early later");
  form.end();
  expect(seen.at(-1)).toBe("(end)");
  expect(form.upload.fileBytes).toBeUndefined();
  expect(form.counted()).toBe(HEAD.length + "early later".length + END.length);
});

test("who stores the file can have its client wait over what came of it early", async () => {
  const form = openForm(false);
  form.data(`${HEAD}early`);
  await form.upload.head;
  const file = form.upload.fileExchange();
  file.receive({ data: () => file.pause(), end: () => undefined, abort: () => undefined });
  expect(form.calls.at(-1)).toBe("pause");
});

test("a small form is given when all of it is there, with the length of its file", async () => {
  const form = openForm(true);
  form.data(`${HEAD}content`);
  let given = false;
  const head = form.upload.head.then(() => {
    given = true;
  });
  await Promise.resolve();
  expect([given, form.upload.fileBytes]).toEqual([false, undefined]);
  form.data(END);
  form.end();
  await head;
  expect(form.upload.fileBytes).toBe(7);
  expect(collect(form.upload)).toEqual(["content", "(end)"]);
  expect(form.calls).not.toContain("pause");
});

test.each([true, false])("a form that is cut short is no form (small: %s)", async (isSmall) => {
  const form = openForm(isSmall);
  form.data(HEAD.slice(0, -3));
  form.end();
  expect(await codeOf(form.upload.head)).toBe("MalformedPOSTRequest");
});

test("a file that does not end is told as such, and to who stores it as a client that left", async () => {
  const form = openForm(false);
  form.data(`${HEAD}content`);
  await form.upload.head;
  const seen = collect(form.upload);
  form.end();
  expect(seen).toEqual(["content", "(abort)"]);
  expect(form.upload.failure).toMatchObject({ code: "MalformedPOSTRequest" });
});

test("a client that leaves takes its file along", async () => {
  const form = openForm(false);
  form.data(`${HEAD}content`);
  await form.upload.head;
  form.abort();
  form.data("after the end");
  expect(collect(form.upload)).toEqual(["content", "(abort)"]);
  const early = openForm(true);
  early.abort();
  expect(await codeOf(early.upload.head)).toBe("IncompleteBody");
});
