import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { pythonClient } from "../support/clients/python-clients.ts";
import { mustRun, runProgram } from "../support/run-program.ts";
import { patternBytes } from "../support/sdk.ts";
import { useServer } from "../support/server.ts";
import { differencesOf, digestsOf, NODE_MODULES, useScratchDirectory } from "../support/trees.ts";

describe("awscli", () => {
  const server = useServer();
  const scratch = useScratchDirectory();
  let program: readonly [string, string];

  beforeAll(async () => {
    program = await pythonClient("aws");
  });

  const argsOf = (args: readonly string[]): string[] => [
    program[1],
    ...["--endpoint-url", server().endpoint],
    ...args,
  ];
  const env = clientEnvironment(scratch);
  const aws = async (...args: string[]): Promise<string> =>
    (await mustRun(program[0], argsOf(args), { env })).stdout;

  test("sync carries the project's node_modules there and back", async () => {
    await aws("s3", "mb", "s3://modules");
    const back = join(scratch, "modules");
    const quiet = ["--only-show-errors", "--no-follow-symlinks", "--exclude", ".*"];
    await aws("s3", "sync", NODE_MODULES, "s3://modules/tree", ...quiet);
    await aws("s3", "sync", "s3://modules/tree", back, ...quiet);
    expect(digestsOf(back).size).toBeGreaterThan(3000);
    expect(differencesOf(NODE_MODULES, back)).toEqual([]);
    const again = await aws("s3", "sync", "s3://modules/tree", back, "--dryrun");
    expect(again.trim()).toBe("");
  });

  test("cp carries 200 MiB there and back", async () => {
    const bytes = patternBytes(200 * 1024 * 1024, 200);
    const there = join(scratch, "large");
    const back = join(scratch, "large-back");
    writeFileSync(there, bytes);
    await aws("s3", "mb", "s3://large");
    await aws("s3", "cp", "--only-show-errors", there, "s3://large/file");
    await aws("s3", "cp", "--only-show-errors", "s3://large/file", back);
    expect(readFileSync(back).equals(bytes)).toBe(true);
    const listed = await aws("s3", "ls", "--recursive", "s3://large");
    expect(listed).toMatch(/209715200 file\n/);
  });

  test("s3api puts with conditions, copies, moves and removes", async () => {
    await aws("s3api", "create-bucket", "--bucket", "small");
    const file = join(scratch, "hello.txt");
    writeFileSync(file, "hello");
    const put = ["s3api", "put-object", "--bucket", "small", "--key", "a", "--body", file];
    await aws(...put, "--if-none-match", "*");
    const again = await runProgram(program[0], argsOf([...put, "--if-none-match", "*"]), { env });
    expect(again.stderr).toContain("PreconditionFailed");
    const head = await aws("s3api", "head-object", "--bucket", "small", "--key", "a");
    expect(JSON.parse(head)).toMatchObject({ ContentLength: 5 });
    await aws("s3", "mv", "s3://small/a", "s3://small/dir/b");
    expect(await aws("s3", "cp", "s3://small/dir/b", "-")).toBe("hello");
    expect(await aws("s3", "ls", "s3://small/")).toMatch(/PRE dir\//);
    await aws("s3", "rm", "--recursive", "s3://small");
    await aws("s3", "rb", "s3://small");
    const gone = await runProgram(program[0], argsOf(["s3", "ls", "s3://small"]), { env });
    expect(gone.stderr).toContain("NoSuchBucket");
  });

  test("a presigned link works for anyone", async () => {
    // Links are the one thing this awscli still signs with version 2 unless it is told otherwise.
    mkdirSync(join(scratch, ".aws"));
    const settings = "[default]\ns3 =\n  signature_version = s3v4\n";
    writeFileSync(join(scratch, ".aws", "config"), settings);
    await aws("s3", "mb", "s3://links");
    const file = join(scratch, "linked.txt");
    writeFileSync(file, "linked");
    await aws("s3", "cp", "--only-show-errors", file, "s3://links/linked.txt");
    const link = (await aws("s3", "presign", "s3://links/linked.txt")).trim();
    const answer = await fetch(link);
    expect([answer.status, await answer.text()]).toEqual([200, "linked"]);
  });
});
