import { describe, expect, test } from "vitest";
import { type FormFields, type FormOptions, formRequest } from "./form-forge.ts";
import { KEY_VECTORS } from "./key-table.ts";
import { ENGINES } from "./served-site.ts";
import { bodyOf, outcome, unescapeBytes } from "./site-client.ts";
import { useSite } from "./use-site.ts";

const BUCKET = "bucket-of-forms";
const OTHER = "bucket-of-others";
const MINUTE_MS = 60_000;

const without = (name: string) => (fields: FormFields) =>
  fields.filter(([other]) => other !== name);
const set = (name: string, value: string) => (fields: FormFields) =>
  fields.map(([other, old]) => [other, other === name ? value : old] as const);
const add = (name: string, value: string) => (fields: FormFields) => [
  ...fields,
  [name, value] as const,
];
const change = (way: (fields: FormFields) => FormFields): Partial<FormOptions> => ({ change: way });

/** Forms that are not what was signed, or were signed by nobody who may. */
const FORGERIES: Readonly<Record<string, (nowMs: number) => Partial<FormOptions>>> = {
  "another secret": () => ({ secret: "guessed" }),
  "no secret": () => ({ secret: "" }),
  "an unknown key": () => ({ accessKey: "NOBODYKNOWS" }),
  "no signature": () => change(without("x-amz-signature")),
  "an empty signature": () => change(set("x-amz-signature", "")),
  "a signature of zeros": () => change(set("x-amz-signature", "0".repeat(64))),
  "no policy": () => change(without("policy")),
  "an empty policy": () => change(set("policy", "")),
  "another policy": () => change(set("policy", Buffer.from("{}").toString("base64"))),
  "a policy that is no base64": () => change(set("policy", "{}")),
  "a policy that has ended": (nowMs) => ({ expirationMs: nowMs - MINUTE_MS }),
  "a policy that says nothing": () => ({ conditions: [] }),
  "a policy of another bucket": () => ({ conditions: [{ bucket: OTHER }] }),
  "a policy of another key": () => ({ conditions: [{ bucket: BUCKET }, { key: "other" }] }),
  "a file too large": () => ({ file: "x".repeat(2000) }),
  "a field that was not signed": () => change(add("acl", "private")),
  "metadata that was not signed": () => change(add("x-amz-meta-a", "1")),
  "a redirect that was not signed": () =>
    change(add("success_action_redirect", "http://evil.test/")),
  "another region": () => ({ scope: ["20261121", "eu-north-7", "s3", "aws4_request"] }),
  "another service": (nowMs) => ({
    scope: [day(nowMs), "us-east-1", "sts", "aws4_request"],
  }),
  "another end of the scope": (nowMs) => ({ scope: [day(nowMs), "us-east-1", "s3", "x"] }),
  "a date of last year": () => ({ date: "20251121T000000Z" }),
  "another date than was signed": () => change(set("x-amz-date", "20261120T000000Z")),
  "no date": () => change(without("x-amz-date")),
  "no credential": () => change(without("x-amz-credential")),
  "another algorithm": () => change(set("x-amz-algorithm", "AWS4-HMAC-SHA1")),
  "no algorithm": () => change(without("x-amz-algorithm")),
  "two keys": () => change(add("key", "second")),
  "two policies": () => change(add("policy", "e30=")),
  "two signatures": () => change(add("x-amz-signature", "0".repeat(64))),
  "no key": () => change(without("key")),
  "another bucket in a field": () => change(add("bucket", OTHER)),
};

function day(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 10).replaceAll("-", "");
}

describe.each(ENGINES)("forms on %s", (engine) => {
  const at = useSite(engine, { buckets: [BUCKET, OTHER] });

  async function send(key: string, rest: Partial<FormOptions> = {}) {
    return at.client.sendUnsigned(formRequest({ bucket: BUCKET, key, nowMs: Date.now(), ...rest }));
  }

  test("a right form is taken, so that the tests below refuse for the right reason", async () => {
    expect(outcome(await send("right"))).toBe("204");
    const got = await at.client.send({ method: "GET", target: `/${BUCKET}/right` });
    expect(bodyOf(got)).toBe("content of a form");
    await at.client.send({ method: "DELETE", target: `/${BUCKET}/right` });
  });

  test.each(Object.entries(FORGERIES))(
    "[S1] [S8] [S40] [N15] a form with %s is refused, and nothing is stored",
    async (_name, forgery) => {
      const before = at.served.rows();
      const answer = await send("forged", forgery(Date.now()));
      expect(outcome(answer)).toMatch(/^4\d\d /);
      expect(at.served.rows()).toBe(before);
    },
  );

  test("[S8] [S40] a form for one bucket is no form for another", async () => {
    const before = at.served.rows();
    const form = formRequest({ bucket: BUCKET, key: "k", nowMs: Date.now() });
    const answer = await at.client.sendUnsigned({ ...form, target: `/${OTHER}` });
    expect(answer.status).toBe(403);
    expect(at.served.rows()).toBe(before);
  });

  test.each(KEY_VECTORS.filter(({ key }) => key !== undefined))(
    "[S9] [S33] [N9] [N10] $name is in a form the key that it is everywhere",
    async ({ wire, key = "" }) => {
      const answer = await send(unescapeBytes(wire).toString("latin1"), { file: "from a form" });
      expect(outcome(answer)).toBe("204");
      const target = `/${BUCKET}?list-type=2&encoding-type=url`;
      const list = bodyOf(await at.client.send({ method: "GET", target }));
      const keys = [...list.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) =>
        decodeURIComponent(match[1] ?? ""),
      );
      expect(keys).toEqual([key]);
      const got = await at.client.send({ method: "GET", target: `/${BUCKET}/${wire}` });
      expect(bodyOf(got)).toBe("from a form");
      await at.client.send({ method: "DELETE", target: `/${BUCKET}/${wire}` });
    },
  );

  test.each(
    KEY_VECTORS.filter(({ key, wire }) => key === undefined && !/%(?![0-9A-F]{2})/i.test(wire)),
  )("[S33] [N10] $name is no key in a form either", async ({ wire }) => {
    const before = at.served.rows();
    const answer = await send(unescapeBytes(wire).toString("latin1"));
    expect([answer.status, answer.status >= 400 && answer.status < 500]).toEqual([
      answer.status,
      true,
    ]);
    expect(at.served.rows()).toBe(before);
  });
});
