import { expect, test } from "vitest";
import { headersOf } from "../headers/header-list.ts";
import type { Reply } from "../operation.ts";
import { postReply } from "./form-answer.ts";

const STORED: Reply = {
  kind: "whole",
  status: 200,
  headers: [
    ["ETag", '"e"'],
    ["x-amz-version-id", "v"],
  ],
  body: undefined,
};

function locationFor(target: string, values: Readonly<Record<string, string>>, secure = false) {
  const exchange = { headers: headersOf({ host: "b.s3.test:9000" }), secure, target };
  const posted = { exchange, bucket: "b", key: "ä/+", values: new Map(Object.entries(values)) };
  const { status, headers } = postReply(STORED, posted);
  return [status, headers.find(([name]) => name === "Location")?.[1]];
}

test("the object is where the form was sent to", () => {
  const encoded = "%C3%A4%2F%2B";
  expect(locationFor("/b", {})).toEqual([204, `http://b.s3.test:9000/b/${encoded}`]);
  expect(locationFor("/b/?x", {})).toEqual([204, `http://b.s3.test:9000/b/${encoded}`]);
  expect(locationFor("/", {}, true)).toEqual([204, `https://b.s3.test:9000/${encoded}`]);
});

test.each([
  ["http://a.test/?q=ä b", "http://a.test/?q=%C3%A4%20b&bucket=b"],
  ["http://a.test", "http://a.test?bucket=b"],
  ["HTTPS://a.test/\r\nx:y", "HTTPS://a.test/%0D%0Ax:y?bucket=b"],
])("a redirect to %j ends up as it should", (success_action_redirect, beginning) => {
  const [status, location] = locationFor("/b", { success_action_redirect });
  expect(status).toBe(303);
  expect(location).toBe(`${beginning}&key=%C3%A4%2F%2B&etag=%22e%22`);
});

test("the older name of the redirect counts when the newer one is not there", () => {
  const redirect = "http://old.test/";
  expect(locationFor("/b", { redirect })[1]).toMatch(/^http:\/\/old\.test\/\?bucket=b/);
  const both = { redirect, success_action_redirect: "http://new.test/" };
  expect(locationFor("/b", both)[1]).toMatch(/^http:\/\/new\.test\//);
});

test("what the PUT answered stays, its version too", () => {
  const exchange = { headers: headersOf({ host: "h" }), secure: false, target: "/b" };
  const values = new Map([["success_action_status", "201"]]);
  const reply = postReply(STORED, { exchange, bucket: "b", key: "<k>", values });
  expect(reply.headers.slice(0, 2)).toEqual(STORED.headers);
  expect(reply).toMatchObject({
    status: 201,
    body: expect.stringContaining("<Key>&lt;k&gt;</Key><ETag>&quot;e&quot;</ETag></PostResponse>"),
  });
});
