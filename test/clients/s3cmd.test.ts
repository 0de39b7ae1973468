import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { pythonClient } from "../support/clients/python-clients.ts";
import { mustRun } from "../support/run-program.ts";
import { patternBytes } from "../support/sdk.ts";
import { REGION, ROOT_KEY, useServer } from "../support/server.ts";
import { useScratchDirectory } from "../support/trees.ts";

describe("s3cmd", () => {
  const server = useServer();
  const scratch = useScratchDirectory();
  const config = join(scratch, "s3cfg");
  let program: readonly [string, string];

  beforeAll(async () => {
    program = await pythonClient("s3cmd");
    const settings = {
      access_key: ROOT_KEY.accessKey,
      secret_key: ROOT_KEY.secretKey,
      host_base: server().host,
      // Without a place for the bucket's name, s3cmd puts it into the path.
      host_bucket: server().host,
      bucket_location: REGION,
      use_https: "False",
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    writeFileSync(config, ["[default]", ...lines, ""].join("\n"));
  });

  const s3cmd = async (...args: string[]): Promise<string> => {
    const env = clientEnvironment(scratch);
    const all = [program[1], "--config", config, "--no-progress", ...args];
    return (await mustRun(program[0], all, { env })).stdout;
  };

  test("puts, lists, gets and deletes", async () => {
    const file = join(scratch, "small file.txt");
    const back = join(scratch, "back.txt");
    writeFileSync(file, "some text");
    await s3cmd("mb", "s3://first");
    expect(await s3cmd("ls")).toContain("s3://first");
    await s3cmd("put", file, "s3://first/dir/small file.txt");
    expect(await s3cmd("ls", "s3://first")).toContain("DIR  s3://first/dir/");
    expect(await s3cmd("ls", "s3://first/dir/")).toMatch(/ 9 .*s3:\/\/first\/dir\/small file\.txt/);
    await s3cmd("get", "s3://first/dir/small file.txt", back);
    expect(readFileSync(back, "utf8")).toBe("some text");
    expect(await s3cmd("info", "s3://first/dir/small file.txt")).toContain("MD5 sum");
    await s3cmd("cp", "s3://first/dir/small file.txt", "s3://first/copy");
    await s3cmd("del", "s3://first/dir/small file.txt");
    await s3cmd("del", "s3://first/copy");
    expect(await s3cmd("ls", "--recursive", "s3://first")).toBe("");
    await s3cmd("rb", "s3://first");
    expect(await s3cmd("ls")).not.toContain("s3://first");
  });

  test("carries a large file in parts there and back", async () => {
    const bytes = patternBytes(23 * 1024 * 1024 + 5, 23);
    const file = join(scratch, "large");
    const back = join(scratch, "large-back");
    writeFileSync(file, bytes);
    await s3cmd("mb", "s3://parts");
    await s3cmd("put", "--multipart-chunk-size-mb=5", file, "s3://parts/large");
    await s3cmd("get", "s3://parts/large", back);
    expect(readFileSync(back).equals(bytes)).toBe(true);
    // The heading stays when there is no upload left.
    expect((await s3cmd("multipart", "s3://parts")).trim().split("\n")).toHaveLength(2);
  });

  test("syncs a folder and sees that nothing has changed", async () => {
    const folder = join(scratch, "folder");
    mkdirSync(folder);
    for (let at = 0; at < 20; at++) writeFileSync(join(folder, `file ${at}`), `${at}`);
    await s3cmd("mb", "s3://synced");
    await s3cmd("sync", `${folder}/`, "s3://synced/folder/");
    expect((await s3cmd("ls", "s3://synced/folder/")).trim().split("\n")).toHaveLength(20);
    expect(await s3cmd("sync", "--dry-run", `${folder}/`, "s3://synced/folder/")).not.toContain(
      "upload:",
    );
  });
});
