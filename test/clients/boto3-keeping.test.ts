import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { pythonWithClients } from "../support/clients/python-clients.ts";
import { mustRun } from "../support/run-program.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { useScratchDirectory } from "../support/trees.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "boto3-keeping.py");

describe.each(ENGINES)("boto3 on %s", (engine) => {
  const server = useServer({ engine });
  const scratch = useScratchDirectory();

  test("locks versions and sets lifecycles", async () => {
    const python = await pythonWithClients();
    const env = clientEnvironment(scratch);
    const { stdout } = await mustRun(python, [SCRIPT, server().endpoint], { env });
    expect(stdout.trim().split("\n")).toEqual([
      "a bucket's default retention",
      "retention and legal hold of versions",
      "lifecycles as they were sent",
      "expiry dates of objects",
    ]);
  });
});
