import { appendFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { debianProgram } from "../support/clients/debian-clients.ts";
import { mustRun } from "../support/run-program.ts";
import { useServer } from "../support/server.ts";
import { differencesOf, digestsOf, NODE_MODULES, useScratchDirectory } from "../support/trees.ts";

describe("restic", () => {
  const server = useServer();
  const scratch = useScratchDirectory();
  const tree = join(scratch, "tree");
  let program = "";

  beforeAll(async () => {
    program = await debianProgram("restic");
    cpSync(join(NODE_MODULES, "@aws-sdk"), tree, { recursive: true });
  });

  const restic = async (...args: string[]): Promise<string> => {
    const env = {
      ...clientEnvironment(scratch),
      RESTIC_REPOSITORY: `s3:${server().endpoint}/backups/home`,
      RESTIC_PASSWORD: "a password for tests",
      RESTIC_CACHE_DIR: join(scratch, "cache"),
    };
    return (await mustRun(program, args, { env, cwd: scratch })).stdout;
  };

  test("backs up, checks every byte and restores the same tree", async () => {
    await restic("init");
    await restic("backup", "tree");
    await restic("check", "--read-data");
    const restored = join(scratch, "restored");
    await restic("restore", "latest", "--target", restored);
    expect(digestsOf(tree).size).toBeGreaterThan(100);
    expect(differencesOf(tree, join(restored, "tree"))).toEqual([]);
  });

  test("forgets and prunes a snapshot, and what stays is whole", async () => {
    const [changed = ""] = digestsOf(tree).keys();
    appendFileSync(join(tree, changed), "changed");
    await restic("backup", "tree");
    await restic("forget", "--keep-last", "1", "--prune");
    expect(JSON.parse(await restic("snapshots", "--json"))).toHaveLength(1);
    await restic("check", "--read-data");
    const restored = join(scratch, "restored-later");
    await restic("restore", "latest", "--target", restored);
    expect(differencesOf(tree, join(restored, "tree"))).toEqual([]);
  });
});
