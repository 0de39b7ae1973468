import { describe, expect, test } from "vitest";
import { credentialOf } from "../../test/support/s3-site.ts";
import { elements, useS3Site } from "../../test/support/s3-suite.ts";
import { grantPolicy } from "../core/grants.ts";
import { readStoredPolicy } from "./policy/document.ts";

const { site, makeBucket, expectStatus, refusal } = useS3Site();

describe("a key that is bound to a bucket", () => {
  test("does there what it was granted, and learns nothing of other buckets", async () => {
    const [mine, other] = [await makeBucket(), await makeBucket()];
    await expectStatus({ method: "PUT", path: `/${other}/secret`, body: "x" }, 200);
    const policies = [readStoredPolicy(grantPolicy("read-write", [mine]))];
    const as = credentialOf("BOUNDKEY", { policies });
    site().add(as);
    await expectStatus({ method: "PUT", path: `/${mine}/key`, body: "x", as }, 200);
    await expectStatus({ method: "GET", path: `/${mine}/key`, as }, 200);
    expect(await refusal({ method: "GET", path: `/${mine}/missing`, as })).toBe("404 NoSuchKey");
    const listed = await expectStatus({ method: "GET", path: "/", as }, 200);
    expect(elements(listed, "Name")).toEqual([mine]);
    for (const [method, path] of [
      ["GET", `/${other}/secret`],
      ["GET", `/${other}/missing`],
      ["GET", "/never-created/key"],
      ["GET", `/${other}`],
      ["PUT", `/${other}/key`],
      ["DELETE", `/${other}/secret`],
      ["PUT", "/a-new-bucket"],
      ["PUT", `/${mine}?policy`],
    ] as const) {
      expect([path, await refusal({ method, path, as })]).toEqual([path, "403 AccessDenied"]);
    }
    const headers = { "x-amz-copy-source": `${other}/secret` };
    const copy = { method: "PUT", path: `/${mine}/copied`, headers, as };
    expect(await refusal(copy)).toBe("403 AccessDenied");
    const body = "<Delete><Object><Key>secret</Key></Object></Delete>";
    const many = await site().ask({ method: "POST", path: `/${other}?delete`, body, as });
    expect(elements(many, "Code")).toEqual(["AccessDenied"]);
    const never = { method: "POST", path: "/never-created?delete", body, as };
    expect(await refusal(never)).toBe("403 AccessDenied");
    await expectStatus({ method: "GET", path: `/${other}/secret` }, 200);
  });

  test("that may only write is not told which keys exist", async () => {
    const mine = await makeBucket();
    const policies = [readStoredPolicy(grantPolicy("write", [mine]))];
    const as = credentialOf("WRITEKEY", { policies });
    site().add(as);
    await expectStatus({ method: "PUT", path: `/${mine}/key`, body: "x", as }, 200);
    for (const key of ["key", "missing"]) {
      expect(await refusal({ method: "GET", path: `/${mine}/${key}`, as })).toBe(
        "403 AccessDenied",
      );
    }
  });
});
