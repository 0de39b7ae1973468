import { describe, expect, test } from "vitest";
import { callerOf, documentOf, requestOf } from "../../../test/support/policies.ts";
import { fc } from "../../../test/support/properties.ts";
import { decide } from "./decide.ts";
import type { PolicyDocument } from "./document.ts";

const ALLOW = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" };

function reasonFor(request: Parameters<typeof requestOf>[0], ...statements: unknown[]): string {
  const policies = statements.map((statement) => documentOf(statement));
  return decide(requestOf(request), policies).reason;
}

test("without a policy, or with one about something else, the answer is no", () => {
  expect(reasonFor({})).toBe("no-allow");
  expect(reasonFor({ action: "s3:PutObject" }, ALLOW)).toBe("no-allow");
  expect(reasonFor({ key: "" }, ALLOW)).toBe("no-allow");
  expect(reasonFor({ bucket: "photos2" }, ALLOW)).toBe("no-allow");
  expect(reasonFor({ action: "s3:GetObjectTagging" }, ALLOW)).toBe("no-allow");
});

test("an allow that fits allows; actions know no case, resources do", () => {
  expect(reasonFor({}, ALLOW)).toBe("allowed");
  expect(reasonFor({ action: "S3:getobject" }, ALLOW)).toBe("allowed");
  expect(reasonFor({ bucket: "Photos" }, ALLOW)).toBe("no-allow");
});

test("a deny beats every allow, wherever it stands", () => {
  const deny = { Effect: "Deny", Action: "s3:*", Resource: "arn:aws:s3:::photos/cats/*" };
  expect(reasonFor({}, ALLOW, deny)).toBe("explicit-deny");
  expect(reasonFor({}, deny, ALLOW)).toBe("explicit-deny");
  expect(reasonFor({ key: "dog" }, deny, ALLOW)).toBe("allowed");
});

test("NotAction and NotResource are about everything else", () => {
  const notAction = { Effect: "Allow", NotAction: "s3:Delete*", Resource: "*" };
  expect(reasonFor({}, notAction)).toBe("allowed");
  expect(reasonFor({ action: "s3:DeleteObject" }, notAction)).toBe("no-allow");
  const notResource = { Effect: "Deny", Action: "*", NotResource: "arn:aws:s3:::photos/*" };
  expect(reasonFor({}, ALLOW, notResource)).toBe("allowed");
  expect(reasonFor({ bucket: "other" }, notResource)).toBe("explicit-deny");
});

test("the service as such fits the patterns that people write for it", () => {
  const service = { ...requestOf(), action: "s3:ListAllMyBuckets", resource: "arn:aws:s3:::*" };
  for (const Resource of ["*", "arn:aws:s3:::*"]) {
    const allow = { Effect: "Allow", Action: "s3:ListAllMyBuckets", Resource };
    expect(decide(service, [documentOf(allow)]).reason).toBe("allowed");
  }
});

test("keys are taken as they are: dots, slashes and stars in them mean nothing", () => {
  const allow = { ...ALLOW, Resource: "arn:aws:s3:::photos/public/*" };
  expect(reasonFor({ key: "public/../secret" }, allow)).toBe("allowed");
  expect(reasonFor({ key: "x/../public/a" }, allow)).toBe("no-allow");
  expect(reasonFor({ key: "*" }, allow)).toBe("no-allow");
});

describe("variables", () => {
  const own = { ...ALLOW, Resource: `arn:aws:s3:::photos/\${aws:username}/*` };
  const bob = { "aws:username": "bob" };

  test("stand for what the request says, and never for a wildcard", () => {
    expect(reasonFor({ key: "bob/a", values: bob }, own)).toBe("allowed");
    expect(reasonFor({ key: "eve/a", values: bob }, own)).toBe("no-allow");
    expect(reasonFor({ key: "eve/a", values: { "aws:username": "*" } }, own)).toBe("no-allow");
    expect(reasonFor({ key: "*/a", values: { "aws:username": "*" } }, own)).toBe("allowed");
  });

  test("without a value allow nothing, and deny everything", () => {
    expect(reasonFor({ key: "/a" }, own)).toBe("no-allow");
    expect(reasonFor({ key: "x" }, ALLOW, { ...own, Effect: "Deny" })).toBe("explicit-deny");
    const others = { Effect: "Deny", Action: "*", NotResource: own.Resource };
    expect(reasonFor({ key: "bob/a", values: bob }, ALLOW, others)).toBe("allowed");
    expect(reasonFor({ key: "eve/a", values: bob }, ALLOW, others)).toBe("explicit-deny");
    expect(reasonFor({ key: "bob/a" }, ALLOW, others)).toBe("explicit-deny");
  });

  test("can have a default, and write what otherwise means something", () => {
    const guest = { ...ALLOW, Resource: `arn:aws:s3:::photos/\${aws:username, 'guest'}/*` };
    expect(reasonFor({ key: "guest/a" }, guest)).toBe("allowed");
    expect(reasonFor({ key: "guest/a", values: bob }, guest)).toBe("no-allow");
    const star = { ...ALLOW, Resource: `arn:aws:s3:::photos/\${*}\${?}\${$}` };
    expect(reasonFor({ key: "*?$" }, star)).toBe("allowed");
    expect(reasonFor({ key: "abc" }, star)).toBe("no-allow");
  });
});

describe("principals", () => {
  const anonymous = callerOf("anonymous", "anonymous", "");
  const root = callerOf("root", "ROOTKEY1", "root");
  const BOB = callerOf("user", "BOBKEY001", "");

  function isFor(principal: unknown, caller = callerOf("user"), effect = "Allow"): boolean {
    const statement = { ...ALLOW, Effect: effect, ...(principal as object) };
    const { reason } = decide(requestOf({ caller }), [documentOf(statement, "resource")]);
    return reason === "allowed" || reason === "explicit-deny";
  }

  test("are everyone, signed or not", () => {
    for (const Principal of ["*", { AWS: "*" }, { AWS: ["arn:aws:iam:::user/x", "*"] }]) {
      expect(isFor({ Principal })).toBe(true);
      expect(isFor({ Principal }, anonymous)).toBe(true);
    }
  });

  test.each(["arn:aws:iam:::user/alice", "arn:aws:iam::000000000000:user/team/ALICEKEY1"])(
    "are users by name or by access key: %s",
    (AWS) => {
      expect(isFor({ Principal: { AWS } })).toBe(true);
      expect(isFor({ Principal: { AWS } }, BOB)).toBe(false);
      expect(isFor({ Principal: { AWS } }, anonymous)).toBe(false);
      expect(isFor({ NotPrincipal: { AWS } }, callerOf("user"), "Deny")).toBe(false);
      expect(isFor({ NotPrincipal: { AWS } }, BOB, "Deny")).toBe(true);
      expect(isFor({ NotPrincipal: { AWS } }, anonymous, "Deny")).toBe(true);
    },
  );

  test("are the account: it is denied as a whole, and allowing it leaves it to its users", () => {
    for (const AWS of ["000000000000", "arn:aws:iam::000000000000:root"]) {
      expect(isFor({ Principal: { AWS } })).toBe(false);
      expect(isFor({ Principal: { AWS } }, BOB, "Deny")).toBe(true);
      expect(isFor({ Principal: { AWS } }, root, "Deny")).toBe(true);
      expect(isFor({ Principal: { AWS } }, anonymous, "Deny")).toBe(false);
      expect(isFor({ NotPrincipal: { AWS } }, BOB, "Deny")).toBe(true);
      expect(isFor({ NotPrincipal: { AWS } }, root, "Deny")).toBe(false);
    }
  });

  test("that are services or other accounts of AWS are never who asks", () => {
    for (const AWS of ["123456789012", "arn:aws:iam::123456789012:user/alice"]) {
      expect(isFor({ Principal: { AWS } })).toBe(false);
      expect(isFor({ Principal: { AWS } }, root, "Deny")).toBe(false);
      expect(isFor({ NotPrincipal: { AWS } }, BOB, "Deny")).toBe(true);
    }
    expect(isFor({ Principal: { Service: "logging.s3.amazonaws.com" } })).toBe(false);
  });

  test("the root key owns everything, but a bucket's policy can deny it", () => {
    expect(decide(requestOf({ caller: root }), []).reason).toBe("root");
    expect(isFor({ Principal: "*" }, root, "Deny")).toBe(true);
  });
});

test("a decision says which statement made it", () => {
  const policy = documentOf([
    { Sid: "one", ...ALLOW },
    { ...ALLOW, Effect: "Deny", Resource: "arn:aws:s3:::photos/dogs/*" },
  ]);
  expect(decide(requestOf(), [policy]).statement).toMatchObject({ sid: "one", number: 1 });
  expect(decide(requestOf({ key: "dogs/a" }), [policy]).statement).toMatchObject({ number: 2 });
  expect(decide(requestOf({ bucket: "x" }), [policy]).statement).toBeUndefined();
});

describe("whatever policies there are", () => {
  const pick = fc.constantFrom;
  const statement = fc.record({
    Effect: pick("Allow", "Deny"),
    Action: pick("*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject"),
    Resource: pick("*", "arn:aws:s3:::photos/*", `arn:aws:s3:::photos/\${aws:username}/*`),
    Condition: pick(
      {},
      { StringEquals: { "s3:prefix": "a" } },
      { StringNotEqualsIfExists: { "s3:prefix": ["a", `\${aws:username}`] } },
      { NumericLessThan: { "s3:max-keys": 10 } },
      { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } },
    ),
  });
  const values = fc.record(
    {
      "s3:prefix": pick("a", "b", ""),
      "s3:max-keys": pick("1", "100", "many"),
      "aws:sourceip": pick("10.1.2.3", "192.0.2.1", "nowhere"),
      "aws:username": pick("cats", "*"),
    },
    { requiredKeys: [] },
  );
  const request = fc
    .record({ action: pick("s3:GetObject", "s3:PutObject"), values })
    .map((asked) => requestOf(asked as Parameters<typeof requestOf>[0]));
  const policies = fc.array(fc.array(statement, { minLength: 1, maxLength: 3 }), { maxLength: 4 });

  function read(lists: readonly unknown[][]): PolicyDocument[] {
    return lists.map((list) => documentOf(list));
  }

  test("their order does not matter", () => {
    fc.assert(
      fc.property(request, policies, (asked, lists) => {
        const turned = [...lists].reverse().map((list) => [...list].reverse());
        expect(decide(asked, read(turned)).reason).toBe(decide(asked, read(lists)).reason);
      }),
    );
  });

  test("one more denial never lets anybody in, and one that fits keeps everybody out", () => {
    fc.assert(
      fc.property(request, policies, statement, (asked, lists, extra) => {
        const before = decide(asked, read(lists)).allowed;
        const denial = { ...extra, Effect: "Deny" };
        if (!before) expect(decide(asked, read([...lists, [denial]])).allowed).toBe(false);
        const everything = { Effect: "Deny", Action: "*", Resource: "*" };
        expect(decide(asked, read([...lists, [everything]])).reason).toBe("explicit-deny");
      }),
    );
  });

  test("one more allowance never keeps anybody out who was let in", () => {
    fc.assert(
      fc.property(request, policies, statement, (asked, lists, extra) => {
        const before = decide(asked, read(lists));
        const after = decide(asked, read([...lists, [{ ...extra, Effect: "Allow" }]]));
        if (before.allowed) expect(after.allowed).toBe(true);
        if (before.reason === "explicit-deny") expect(after.reason).toBe("explicit-deny");
      }),
    );
  });

  test("a statement that would deny never allows when it says Allow and cannot be judged", () => {
    fc.assert(
      fc.property(request, statement, (asked, one) => {
        const denies = !decide(
          asked,
          read([[{ Effect: "Allow", Action: "*", Resource: "*" }], [{ ...one, Effect: "Deny" }]]),
        ).allowed;
        const allows = decide(asked, read([[{ ...one, Effect: "Allow" }]])).allowed;
        if (allows) expect(denies).toBe(true);
      }),
    );
  });
});
