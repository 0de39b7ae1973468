import { expect, test } from "vitest";
import { ask } from "../../test/support/fake-exchange.ts";
import { cryptoRandom } from "../ports/crypto-random.ts";
import { createWaitingService } from "./waiting-service.ts";

const body = new Uint8Array(0);

test("while the site is being opened, every client is told to come back", async () => {
  const handler = createWaitingService(cryptoRandom);
  const answer = await ask(handler, { method: "PUT", target: "/photos/a?x=1", headers: {}, body });
  expect(answer.status).toBe(503);
  expect(answer.headers).toMatchObject({ "retry-after": "1", "content-type": "application/xml" });
  const text = answer.body.toString();
  expect(text).toContain("<Code>SlowDown</Code>");
  expect(text).toContain("<Resource>/photos/a</Resource>");
  expect(text).toContain(`<RequestId>${answer.headers["x-amz-request-id"]}</RequestId>`);
});

test("a HEAD is told so without a body", async () => {
  const handler = createWaitingService(cryptoRandom);
  const answer = await ask(handler, { method: "HEAD", target: "/photos", headers: {}, body });
  expect([answer.status, answer.body.length]).toEqual([503, 0]);
});
