import { appendFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { debianProgram } from "../support/clients/debian-clients.ts";
import { type Finished, mustRun, runProgram } from "../support/run-program.ts";
import { patternBytes } from "../support/sdk.ts";
import { REGION, ROOT_KEY, useServer } from "../support/server.ts";
import { differencesOf, digestsOf, NODE_MODULES, useScratchDirectory } from "../support/trees.ts";

describe("rclone", () => {
  const server = useServer();
  const scratch = useScratchDirectory();
  const tree = join(scratch, "tree");
  let program = "";

  beforeAll(async () => {
    program = await debianProgram("rclone");
    cpSync(join(NODE_MODULES, "@aws-sdk"), tree, { recursive: true });
  });

  const environment = (): Record<string, string> => ({
    ...clientEnvironment(scratch),
    RCLONE_CONFIG: join(scratch, "rclone.conf"),
    RCLONE_CONFIG_ATOLL_TYPE: "s3",
    RCLONE_CONFIG_ATOLL_PROVIDER: "Other",
    RCLONE_CONFIG_ATOLL_ENDPOINT: server().endpoint,
    RCLONE_CONFIG_ATOLL_REGION: REGION,
    RCLONE_CONFIG_ATOLL_ACCESS_KEY_ID: ROOT_KEY.accessKey,
    RCLONE_CONFIG_ATOLL_SECRET_ACCESS_KEY: ROOT_KEY.secretKey,
  });
  const rclone = (...args: string[]): Promise<Finished> =>
    mustRun(program, args, { env: environment() });

  test("sync makes a copy that check finds equal, byte for byte", async () => {
    await rclone("mkdir", "atoll:synced");
    await rclone("sync", tree, "atoll:synced/tree");
    await rclone("check", tree, "atoll:synced/tree");
    await rclone("check", "--download", tree, "atoll:synced/tree");
    const back = join(scratch, "back");
    await rclone("sync", "atoll:synced/tree", back);
    expect(digestsOf(back).size).toBeGreaterThan(100);
    expect(differencesOf(tree, back)).toEqual([]);
  });

  test("sync carries changes, and check sees them before", async () => {
    await rclone("sync", tree, "atoll:changed/tree");
    const names = [...digestsOf(tree).keys()];
    const [changed = "", removed = ""] = names;
    appendFileSync(join(tree, changed), "changed");
    rmSync(join(tree, removed));
    const check = await runProgram(program, ["check", tree, "atoll:changed/tree"], {
      env: environment(),
    });
    expect(check.status).toBe(1);
    expect(check.stderr).toContain("2 differences found");
    await rclone("sync", tree, "atoll:changed/tree");
    await rclone("check", tree, "atoll:changed/tree");
  });

  test("a large file goes in parts and keeps its checksum", async () => {
    const folder = join(scratch, "large");
    mkdirSync(folder);
    writeFileSync(join(folder, "file"), patternBytes(30 * 1024 * 1024, 30));
    await rclone("copy", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M", folder, "atoll:parts");
    await rclone("check", "--download", folder, "atoll:parts");
  });
});
