import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grantPolicy } from "../../src/core/grants.ts";
import type { OperationRow } from "../../src/s3api/operation.ts";
import { OPERATIONS } from "../../src/s3api/operations.ts";
import { readStoredPolicy } from "../../src/s3api/policy/document.ts";
import { credentialOf, ROOT_CREDENTIAL } from "../support/s3-site.ts";
import { type Forged, forge, PAYLOAD_MODES, type Plain, toWire } from "./forge.ts";
import { MATRIX_BUCKET, MATRIX_KEY, OTHER_BUCKET, ROUTE_SAMPLES } from "./matrix-rows.ts";
import type { Case, Cast } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { ENGINES, type ServedSite, serveSite } from "./served-site.ts";
import { overWires } from "./wire.ts";

const REQUESTS_MIN = 20_000;
const ROWS: ReadonlyArray<readonly [string, OperationRow]> = Object.entries(OPERATIONS);
const UPLOAD_ID = "0".repeat(32);
const QUERY_VALUES: Readonly<Record<string, string>> = { partNumber: "1", uploadId: UPLOAD_ID };

const nobody = credentialOf("NOBODYKNOWS", {});
const powerless = credentialOf("POWERLESS1", {});
const elsewhere = credentialOf("ELSEWHERE1", {
  policies: [readStoredPolicy(grantPolicy("read-write", [OTHER_BUCKET]))],
});
const signer = ({ id, secret }: { id: string; secret: string }) => ({ accessKey: id, secret });
const CAST: Cast = {
  root: signer(ROOT_CREDENTIAL),
  powerless: signer(powerless),
  elsewhere: signer(elsewhere),
  nobody: signer(nobody),
};

function plainOf(name: string, row: OperationRow): Plain {
  const sample = ROUTE_SAMPLES.get(name) ?? {};
  const paths = {
    service: "/",
    bucket: `/${name === "CreateBucket" ? "created-bucket" : MATRIX_BUCKET}`,
    object: `/${MATRIX_BUCKET}/${MATRIX_KEY}`,
  };
  const query = Object.entries(row.query ?? {}).map(
    ([key, value]) => [key, value === "" ? (QUERY_VALUES[key] ?? "") : value] as const,
  );
  const { body = "", headers = {} } = sample;
  return { method: row.method, path: paths[row.level], query, headers, body };
}

function caseOf(name: string, row: OperationRow, form: Pick<Case, "transport" | "mode">): Case {
  return {
    ...form,
    plain: plainOf(name, row),
    ...{ cast: CAST, nowMs: Date.now(), level: row.level, perKey: row.perKey === true },
    readsBody: row.body !== "none" && "handler" in row,
    isPreflight: row.method === "OPTIONS",
  };
}

const FORMS = PAYLOAD_MODES.flatMap((mode) =>
  (["header", "presigned"] as const).map((transport) => ({ transport, mode })),
);

type Shot = { readonly name: string; readonly forged: Forged };

function* shots(): Generator<Shot> {
  for (const [name, row] of ROWS) {
    for (const form of FORMS) {
      const at = caseOf(name, row, form);
      for (const mutation of MUTATIONS) {
        const forged = mutation.make(at);
        if (forged === undefined) continue;
        yield { name: `${name}, ${form.transport}, ${form.mode}: ${mutation.name}`, forged };
      }
    }
  }
}

/** What a request with a right signature may never be told. */
const AUTHENTICATION_CODES = new Set([
  ...["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken"],
  ...["AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"],
  ...["RequestTimeTooSkewed", "XAmzContentSHA256Mismatch"],
]);

/** Secrets of the cast, and what stands in stack traces. */
const LEAKS = /secret of |\bat \S+ \(|node_modules|\.[jt]s:\d/;

test("every route has its row in the matrix", () => {
  const missing = ROWS.map(([name]) => name).filter((name) => !ROUTE_SAMPLES.has(name));
  expect(missing, "give these routes a row in test/security/matrix-rows.ts").toEqual([]);
});

describe.each(ENGINES)("on %s", (engine) => {
  let served: ServedSite;
  let before: string;
  const refused = { count: 0, withoutWords: 0 };

  beforeAll(async () => {
    served = await serveSite(engine);
    for (const credential of [powerless, elsewhere]) served.site.add(credential);
    for (const bucket of [MATRIX_BUCKET, OTHER_BUCKET]) {
      await served.site.ask({ method: "PUT", path: `/${bucket}` });
    }
    const path = `/${MATRIX_BUCKET}/${MATRIX_KEY}`;
    await served.site.ask({ method: "PUT", path, body: "object" });
    await served.site.ask({ method: "PUT", path: `/${OTHER_BUCKET}/secret`, body: "secret" });
    before = served.rows();
  });
  afterAll(() => served.close());

  test("[S1] [S2] [S3] [S4] [S14] [S22] [S23] [S26] [S38] [S39] [S43] [S50] [N11] [N13] [N14] [N23] nothing forged is let in", async () => {
    const wrong: string[] = [];
    await overWires(served.port, [...shots()], async (wire, { name, forged }) => {
      const answer = await wire.send(toWire(forged));
      refused.count++;
      if (LEAKS.test(answer.text)) wrong.push(`it says too much: ${name}`);
      if (answer.status === 0) refused.withoutWords++;
      else if (answer.status < 400 || answer.status >= 500) {
        wrong.push(`${answer.status} ${answer.code} ${name}`);
      }
    });
    expect(wrong.slice(0, 40)).toEqual([]);
  });

  test("nothing forged is stored: every row of the index is as it was", () => {
    expect(served.rows()).toBe(before);
  });

  test(`at least ${REQUESTS_MIN} forgeries were sent, and nearly all were answered`, () => {
    process.stdout.write(
      `matrix on ${engine}: ${ROWS.length} routes, ${MUTATIONS.length} ways of being wrong, ` +
        `${refused.count} requests, ${refused.withoutWords} cut without a word\n`,
    );
    expect(refused.count).toBeGreaterThanOrEqual(REQUESTS_MIN);
    expect(refused.withoutWords).toBeLessThan(refused.count / 20);
  });

  test("the same requests with a right signature are let in, so it was the forgery", async () => {
    const wrong: string[] = [];
    const controls = ROWS.filter(([, row]) => row.method !== "OPTIONS").flatMap(([name, row]) =>
      FORMS.map((form) => ({ name, form, at: caseOf(name, row, form) })),
    );
    // What removes the bucket comes last.
    controls.sort((a, b) => Number(a.name === "DeleteBucket") - Number(b.name === "DeleteBucket"));
    await overWires(served.port, controls, async (wire, { name, form, at }) => {
      const options = { ...form, signer: CAST.root, nowMs: Date.now() };
      const answer = await wire.send(toWire(forge(at.plain, options)));
      const isRight = name === "PutObject" ? answer.status === 200 : answer.status > 0;
      if (isRight && answer.status !== 403 && !AUTHENTICATION_CODES.has(answer.code)) return;
      wrong.push(`${answer.status} ${answer.code} ${name}, ${form.transport}, ${form.mode}`);
    });
    expect(wrong.slice(0, 40)).toEqual([]);
    expect(served.rows()).not.toBe(before);
  });
});
