import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, GetBucketVersioningCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer } from "../support/server.ts";
import {
  historyOf,
  makeVersionedBucket,
  putVersion,
  setVersioning,
  textOf,
} from "../support/versions.ts";

describe.each(ENGINES)("versions after a kill on %s", (engine) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "atoll-versions-"));
  afterAll(() => rmSync(dataDirectory, { recursive: true, force: true }));

  test("are as they were, each with its id, and their history goes on", async () => {
    const first = await startServer({ engine, dataDirectory });
    const s3 = sdkFor(first);
    const Bucket = await makeVersionedBucket(s3);
    const target = { Bucket, Key: "k" };
    const one = await putVersion(s3, target, "one");
    const two = await putVersion(s3, target, "two");
    const three = await putVersion(s3, target, "three");
    await s3.send(new DeleteObjectCommand({ ...target, VersionId: two }));
    const { VersionId: marker = "" } = await s3.send(new DeleteObjectCommand(target));
    await setVersioning(s3, Bucket, "Suspended");
    await putVersion(s3, { Bucket, Key: "other" }, "null version");
    const before = await historyOf(s3, Bucket);
    await first.kill("SIGKILL");

    const second = await startServer({ engine, dataDirectory });
    const again = sdkFor(second);
    expect(await historyOf(again, Bucket)).toEqual(before);
    expect(before).toEqual([
      `k ${three}`,
      `k ${one}`,
      "other null latest",
      `k ${marker} latest marker`,
    ]);
    const { Status } = await again.send(new GetBucketVersioningCommand({ Bucket }));
    expect(Status).toBe("Suspended");
    expect(await textOf(again, { ...target, VersionId: one })).toBe("one");
    expect(await refusalOf(textOf(again, { ...target, VersionId: two }))).toBe("404 NoSuchVersion");
    await again.send(new DeleteObjectCommand({ ...target, VersionId: marker }));
    expect(await textOf(again, target)).toBe("three");
    expect(await second.stop()).toBe(0);
  });
});
