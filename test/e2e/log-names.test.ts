import { expect, test, vi } from "vitest";
import { useServer } from "../support/server.ts";

const server = useServer({ flags: ["--log-format", "pretty"] });

test("[N22] names of strangers neither end the log of a terminal nor rule it", async () => {
  const keys = ["Signature=a%22b", "X-Amz-Credential=%5C", "%1b%5d0;title%07", "%C2%9B31m", "last"];
  for (const key of keys) {
    const answer = await fetch(`${server().endpoint}/bucket-of-nobody/${key}`);
    expect([key, answer.status]).toEqual([key, 403]);
  }
  await vi.waitFor(() => expect(server().log()).toContain("key=last"), { timeout: 30_000 });
  expect(server().log()).toMatch(/^[\n -~]+$/);
  expect(server().log()).toContain("key=\\u001b]0;title\\u0007");
});
