import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { LogFields } from "./log.ts";
import { createPinoLog } from "./pino-log.ts";
import { formatPretty } from "./pretty-line.ts";
import { REDACTED, redactFields } from "./redact-fields.ts";

function openLog(pretty = false) {
  const destination = new PassThrough();
  const log = createPinoLog({ level: "info", pretty, destination });
  const text = async (): Promise<string> => {
    await log.flush();
    return String(destination.read() ?? "");
  };
  return { log, text };
}

describe("a log line", () => {
  test("is one JSON object with its level, time and fields", async () => {
    const { log, text } = openLog();
    log.child({ site: "a" }).warn({ freeBytes: 7 }, "disk is filling up");
    expect(JSON.parse(await text())).toEqual({
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      site: "a",
      freeBytes: 7,
      msg: "disk is filling up",
    });
  });

  test("below the level is not written", async () => {
    const { log, text } = openLog();
    log.debug({}, "noise");
    expect(await text()).toBe("");
  });

  test("is short on a terminal", async () => {
    const { log, text } = openLog(true);
    log.info({ endpoint: "http://localhost:9000" }, "serving");
    expect(await text()).toMatch(
      /^\d\d:\d\d:\d\d info {2}serving endpoint=http:\/\/localhost:9000\n$/,
    );
  });

  test("tells of a failure without its stack on a terminal", () => {
    const failure = Object.assign(new Error("no space left"), { code: "ENOSPC" });
    const fields = redactFields({ failure });
    const line = formatPretty(JSON.stringify({ level: "error", msg: "stopped", ...fields }));
    expect(line.trim()).toBe('error stopped failure="Error: no space left (ENOSPC)"');
  });
});

describe("names that strangers chose", () => {
  const KEYS = [
    'Signature=a"b',
    "X-Amz-Credential=\\",
    'AWSAccessKeyId=a\\"&x=\\\\"',
    '"\\n',
    "\u001b]0;title\u0007",
    "\u009b31m",
    "a\nb",
  ];

  test.each(KEYS)("the key %j breaks no line of JSON", async (key) => {
    const { log, text } = openLog();
    log.infoLine(`"key":${JSON.stringify(key)},"status":403`, "request");
    expect(JSON.parse(await text())).toMatchObject({ status: 403, msg: "request" });
  });

  test.each(KEYS)("the key %j stays within its line on a terminal", async (key) => {
    const { log, text } = openLog(true);
    log.infoLine(`"key":${JSON.stringify(key)},"status":403`, "request");
    expect(await text()).toMatch(/^[ -~]+ request key=[ -~]+ status=403\n$/);
  });
});

describe("what must not be logged", () => {
  test.each([
    "authorization",
    "Authorization",
    "secret",
    "secretKey",
    "secret_access_key",
    "x-amz-signature",
    "sessionToken",
    "x-amz-security-token",
    "privateKey",
    "password",
  ])("a field named %s is cut, at any level", (name) => {
    expect(
      redactFields({ [name]: "hush", inner: { [name]: "hush" }, list: [{ [name]: 1 }] }),
    ).toEqual({
      [name]: REDACTED,
      inner: { [name]: REDACTED },
      list: [{ [name]: REDACTED }],
    });
  });

  test("the signature of a presigned URL is cut out of any text", () => {
    const url = "/b/k?X-Amz-Credential=AK%2F2&X-Amz-Signature=abc123&partNumber=1";
    const fields = { url, failure: new Error(`refused ${url}`) };
    expect(JSON.stringify(redactFields(fields))).not.toMatch(/abc123|AK%2F2/);
    expect(redactFields({ url })["url"]).toContain("partNumber=1");
  });

  test("a secret inside the cause of an error is cut", () => {
    const cause = Object.assign(new Error("inner"), { secretKey: "hush" });
    const fields = redactFields({ failure: new Error("outer", { cause }) });
    expect(JSON.stringify(fields)).toContain("inner");
    expect(JSON.stringify(fields)).not.toContain("hush");
  });

  test("fields without secrets are passed on as they are, not copied", () => {
    const fields: LogFields = { method: "PUT", status: 200, nested: { key: "a=b" } };
    expect(redactFields(fields)).toBe(fields);
  });
});
