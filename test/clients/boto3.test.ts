import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { pythonWithClients } from "../support/clients/python-clients.ts";
import { mustRun } from "../support/run-program.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { useScratchDirectory } from "../support/trees.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "boto3-defaults.py");

describe.each(ENGINES)("boto3 on %s", (engine) => {
  const server = useServer({ engine });
  const scratch = useScratchDirectory();

  test("stores and fetches with its default settings", async () => {
    const python = await pythonWithClients();
    const env = clientEnvironment(scratch);
    const { stdout } = await mustRun(python, [SCRIPT, server().endpoint], { env });
    expect(stdout.trim().split("\n")).toEqual([
      "a small object with its CRC",
      "a stream with a CRC trailer",
      "a large object in parts",
      "a copy in parts",
      "pages of a listing, deleted by one request",
      "a presigned link",
      "refusals by name",
    ]);
  });
});
