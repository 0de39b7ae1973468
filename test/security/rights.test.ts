import { beforeAll, describe, expect, test } from "vitest";
import { grantPolicy } from "../../src/core/grants.ts";
import type { OperationRow } from "../../src/s3api/operation.ts";
import { OPERATIONS } from "../../src/s3api/operations.ts";
import { readStoredPolicy } from "../../src/s3api/policy/document.ts";
import { credentialOf } from "../support/s3-site.ts";
import { ENGINES } from "./served-site.ts";
import { type Ask, bodyOf, outcome, signed } from "./site-client.ts";
import { useSite } from "./use-site.ts";
import type { WireAnswer } from "./wire.ts";

const MINE = "my-own-bucket";
const OTHERS = "others-bucket";
const HIDDEN = "words nobody else may read";

const user = credentialOf("USEROFMINE", {
  policies: [readStoredPolicy(grantPolicy("read-write", [MINE]))],
});
const stranger = credentialOf("STRANGER1", {});
const as = { accessKey: user.id, secret: user.secret };

/** Without what differs from request to request, so that two refusals can be compared. */
function comparable(answer: WireAnswer): string {
  return answer.text
    .replace(/<(RequestId|Resource)>[^<]*/g, "<$1>")
    .replace(/^(x-amz-request-id|date|content-length):.*$/gim, "");
}

test("[S42] reading a version is another right than reading", () => {
  const rows: Readonly<Record<string, OperationRow>> = OPERATIONS;
  for (const [name, action] of [
    ["GetObject", "s3:GetObjectVersion"],
    ["HeadObject", "s3:GetObjectVersion"],
    ["DeleteObject", "s3:DeleteObjectVersion"],
    ["GetObjectTagging", "s3:GetObjectVersionTagging"],
    ["GetObjectAcl", "s3:GetObjectVersionAcl"],
  ] as const) {
    expect([name, rows[name]?.versionAction]).toEqual([name, action]);
  }
});

describe.each(ENGINES)("rights on %s", (engine) => {
  const at = useSite(engine, {
    buckets: [MINE, OTHERS],
    objects: { [`${MINE}/object`]: HIDDEN, [`${OTHERS}/object`]: HIDDEN },
  });
  beforeAll(() => {
    for (const credential of [user, stranger]) at.served.site.add(credential);
  });

  function unsigned(ask: Ask): Promise<WireAnswer> {
    const { method, target, headers = {}, body = "" } = ask;
    const lines = [["host", "s3.test:9000"] as const, ...Object.entries(headers)];
    return at.client.sendUnsigned({ method, target, headers: lines, body: Buffer.from(body) });
  }

  test("[S19] nobody learns by a condition whether an object is there", async () => {
    const conditions = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      for (const name of conditions) {
        const value = name.endsWith("since") ? "Sat, 01 Jan 2000 00:00:00 GMT" : "*";
        const headers = { [name]: value };
        const answers: string[] = [];
        for (const key of ["object", "missing"]) {
          const answer = await unsigned({ method, target: `/${OTHERS}/${key}`, headers });
          expect(answer.status).toBe(403);
          answers.push(comparable(answer));
          const known = await at.client.send({
            ...{ method, target: `/${OTHERS}/${key}`, headers, as },
          });
          expect(known.status).toBe(403);
        }
        expect(answers[0]).toBe(answers[1]);
      }
    }
  });

  test("[S58] [S63] without a signature nothing is listed, read or written", async () => {
    const before = at.served.rows();
    for (const [method, target] of [
      ["GET", "/"],
      ["GET", `/${MINE}`],
      ["GET", `/${MINE}?list-type=2`],
      ["GET", `/${MINE}?versions`],
      ["GET", `/${MINE}?uploads`],
      ["GET", `/${MINE}/object`],
      ["HEAD", `/${MINE}/object`],
      ["HEAD", `/${MINE}`],
      ["PUT", `/${MINE}/new`],
      ["PUT", "/new-bucket"],
      ["DELETE", `/${MINE}/object`],
      ["DELETE", `/${MINE}`],
      ["GET", "/never-made"],
    ] as const) {
      const answer = await unsigned({ method, target });
      expect([method, target, answer.status]).toEqual([method, target, 403]);
    }
    // Answered key by key, so that the refusal stands inside.
    const body = "<Delete><Object><Key>object</Key></Object></Delete>";
    const many = await unsigned({ method: "POST", target: `/${MINE}?delete`, body });
    expect(many.text).toContain("<Code>AccessDenied</Code>");
    expect(many.text).not.toContain("<Deleted>");
    expect(at.served.rows()).toBe(before);
  });

  test("[S41] a copy needs the right to read its source, part by part too", async () => {
    const headers = { "x-amz-copy-source": `/${OTHERS}/object` };
    const begun = await at.client.send({ method: "POST", target: `/${MINE}/big?uploads`, as });
    const id = /<UploadId>(\w+)</.exec(begun.text)?.[1] ?? "";
    const before = at.served.rows();
    for (const target of [`/${MINE}/stolen`, `/${MINE}/big?partNumber=1&uploadId=${id}`]) {
      const answer = await at.client.send({ method: "PUT", target, headers, as });
      expect(outcome(answer)).toBe("403 AccessDenied");
    }
    expect(at.served.rows()).toBe(before);
    const own = { "x-amz-copy-source": `/${MINE}/object` };
    const copied = await at.client.send({ method: "PUT", target: `/${MINE}/c`, headers: own, as });
    expect(outcome(copied)).toBe("200");
  });

  test("[S16] a link can do what its signer may do when it is used, and no more", async () => {
    const target = `/${MINE}/object`;
    const form = { transport: "presigned", mode: "unsigned" } as const;
    const link = signed({ method: "GET", target, as, ...form });
    expect(bodyOf(await at.client.sendUnsigned(link))).toBe(HIDDEN);
    at.served.site.add({ ...user, policies: [] });
    expect(outcome(await at.client.sendUnsigned(link))).toBe("403 AccessDenied");
    at.served.site.add(user);
    const write = signed({
      ...{ method: "PUT", target: `/${OTHERS}/object`, body: "x", as },
      ...form,
    });
    expect(outcome(await at.client.sendUnsigned(write))).toBe("403 AccessDenied");
  });

  test("[S34] a key's name is looked at before anything is looked up", async () => {
    for (const accessKey of [
      "*)(uid=*",
      "../../root",
      "a' OR 1=1",
      "$(id)",
      "k".repeat(300),
      "é",
    ]) {
      const answer = await at.client.send({
        ...{ method: "GET", target: "/", as: { accessKey, secret: "x" } },
      });
      expect([accessKey, answer.status >= 400 && answer.status < 500]).toEqual([accessKey, true]);
    }
  });

  test("[S46] [N21] the client's address is the socket's, whatever a header says", async () => {
    const forwarded = ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip"];
    const headers = Object.fromEntries(forwarded.map((name) => [name, "203.0.113.9"]));
    await at.client.send({ method: "GET", target: `/${MINE}/object`, headers });
    expect(at.served.site.summaries.at(-1)?.remoteAddress).toBe("127.0.0.1");
  });

  test("[S44] [S46] [N21] what a policy asks of a request is what the server knows, not what headers say", async () => {
    const statement = {
      ...{ Effect: "Allow", Principal: "*", Action: "s3:GetObject" },
      Resource: `arn:aws:s3:::${OTHERS}/*`,
      Condition: { IpAddress: { "aws:SourceIp": "203.0.113.0/24" } },
    };
    const policy = (condition: object): string =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [{ ...statement, Condition: condition }],
      });
    const headers = {
      ...{ "x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9" },
      ...{ "aws.sourceip": "203.0.113.9", "x-amz-source-ip": "203.0.113.9" },
      ...{ sourceip: "203.0.113.9", "aws-sourceip": "203.0.113.9" },
    };
    const target = `/${OTHERS}/object`;
    const put = (text: string): Promise<WireAnswer> =>
      at.client.send({ method: "PUT", target: `/${OTHERS}?policy`, body: text });
    expect(outcome(await put(policy(statement.Condition)))).toBe("204");
    expect((await unsigned({ method: "GET", target, headers })).status).toBe(403);
    // The same policy about where the request really came from lets it in.
    const real = { IpAddress: { "aws:SourceIp": "127.0.0.0/8" } };
    expect(outcome(await put(policy(real)))).toBe("204");
    const admitted = await unsigned({ method: "GET", target, headers });
    expect([admitted.status, bodyOf(admitted)]).toEqual([200, HIDDEN]);
    await at.client.send({ method: "DELETE", target: `/${OTHERS}?policy` });
  });

  test("[S59] a continuation token with any bit changed is refused", async () => {
    for (const key of ["a", "b", "c"]) {
      await at.client.send({ method: "PUT", target: `/${MINE}/${key}`, body: key });
    }
    const page = await at.client.send({ method: "GET", target: `/${MINE}?list-type=2&max-keys=1` });
    const token = /<NextContinuationToken>([^<]+)</.exec(page.text)?.[1] ?? "";
    const bytes = Buffer.from(token, "base64url");
    expect(bytes.length).toBeGreaterThan(4);
    const ask = (text: string): Promise<WireAnswer> =>
      at.client.send({
        ...{ method: "GET", target: `/${MINE}?list-type=2&continuation-token=${text}` },
      });
    expect(outcome(await ask(token))).toBe("200");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const spoilt = Buffer.from(bytes);
      spoilt[bit >> 3] = (spoilt[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const answer = await ask(spoilt.toString("base64url"));
      expect([bit, outcome(answer)]).toEqual([bit, "400 InvalidArgument"]);
    }
    for (const text of ["%00", "x", `${token}AA`, token.slice(1), "..%2F..", "%F0%9F%98%80"]) {
      expect(outcome(await ask(text))).toBe("400 InvalidArgument");
    }
  });

  test("[S59] [S64] an upload id is good for its own key only", async () => {
    const begun = await at.client.send({ method: "POST", target: `/${MINE}/one?uploads` });
    const id = /<UploadId>(\w+)</.exec(begun.text)?.[1] ?? "";
    const before = at.served.rows();
    for (const place of [`${MINE}/two`, `${OTHERS}/one`]) {
      const target = `/${place}?uploadId=${id}`;
      for (const [method, aim] of [
        ["PUT", `${target}&partNumber=1`],
        ["GET", target],
        ["DELETE", target],
      ] as const) {
        expect(outcome(await at.client.send({ method, target: aim }))).toBe("404 NoSuchUpload");
      }
    }
    expect(at.served.rows()).toBe(before);
  });

  test("[N25] numbers that bound a list are bounded themselves", async () => {
    for (const name of ["max-keys", "max-uploads"]) {
      const list = name === "max-keys" ? "list-type=2" : "uploads";
      for (const value of ["-1", "NaN", "1e9", "99999999999999999999", "0x10", "1.5", ""]) {
        const target = `/${MINE}?${list}&${name}=${value}`;
        const answer = await at.client.send({ method: "GET", target });
        expect([name, value, [200, 400].includes(answer.status)]).toEqual([name, value, true]);
      }
      const all = await at.client.send({
        method: "GET",
        target: `/${MINE}?${list}&${name}=1000000`,
      });
      expect([200, 400]).toContain(all.status);
    }
  });

  test("[N25] a list from a place longer than any key is a client's mistake", async () => {
    const long = "k".repeat(5000);
    for (const query of [
      ...[`list-type=2&prefix=${long}`, `list-type=2&start-after=${long}`, `marker=${long}`],
      ...[`uploads&prefix=${long}`, `uploads&key-marker=${long}`],
      ...[`uploads&key-marker=a&upload-id-marker=${long}`, `list-type=2&delimiter=${long}`],
    ]) {
      const answer = await at.client.send({ method: "GET", target: `/${MINE}?${query}` });
      expect([query.slice(0, 30), answer.status < 500]).toEqual([query.slice(0, 30), true]);
    }
  });

  test.each([
    "bytes=0-0,1-1",
    "5,000 parts",
    "bytes=-0",
    "bytes=99999999999999999999-",
    "bytes=5-2",
    "bytes=-",
    "bytes=0-9223372036854775808",
    "lines=0-1",
    "bytes=--1",
    "bytes= 0 - 3 ",
  ])("[N24] a range of %s costs no more than the object", async (range) => {
    const asked = range === "5,000 parts" ? `bytes=${"0-0,".repeat(5000)}1-1` : range;
    const answer = await at.client.send({
      ...{ method: "GET", target: `/${MINE}/object`, headers: { range: asked } },
    });
    expect([200, 206, 416]).toContain(answer.status);
    expect(bodyOf(answer).length).toBeLessThan(1000);
  });

  test("[N26] an upload has no part 0 and no part 10,001", async () => {
    const begun = await at.client.send({ method: "POST", target: `/${MINE}/parts?uploads` });
    const id = /<UploadId>(\w+)</.exec(begun.text)?.[1] ?? "";
    for (const number of ["0", "10001", "-1", "1.5", "NaN", "99999999999"]) {
      const target = `/${MINE}/parts?partNumber=${number}&uploadId=${id}`;
      const answer = await at.client.send({ method: "PUT", target, body: "x" });
      expect([number, outcome(answer)]).toEqual([number, "400 InvalidArgument"]);
    }
  });
});
