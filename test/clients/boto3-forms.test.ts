import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { clientEnvironment } from "../support/clients/client-environment.ts";
import { pythonWithClients } from "../support/clients/python-clients.ts";
import { mustRun } from "../support/run-program.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { useScratchDirectory } from "../support/trees.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "boto3-forms.py");

describe.each(ENGINES)("boto3's forms on %s", (engine) => {
  const server = useServer({ engine });
  const scratch = useScratchDirectory();

  test("are taken as it signs and sends them", async () => {
    const python = await pythonWithClients();
    const env = clientEnvironment(scratch);
    const { stdout } = await mustRun(python, [SCRIPT, server().endpoint], { env });
    expect(stdout.trim().split("\n")).toEqual([
      "a signed form",
      "a signed form with conditions",
      "refusals",
    ]);
  });
});
