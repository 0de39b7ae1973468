import { LIMITS } from "../core/limits.ts";
import { UsageError } from "../core/usage-error.ts";
import { isRecord } from "./admin-client.ts";
import type { Program } from "./command.ts";

/** The policy in a file, as JSON. What it says is for the site to judge. */
export async function readPolicyFile(
  program: Pick<Program, "readFile">,
  path: string,
): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readWhole(program, path);
  if (bytes.length > LIMITS.policyBytesMax) {
    throw new UsageError(`${path} has more than the ${LIMITS.policyBytesMax} bytes of a policy.`);
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (isRecord(value)) return value;
  } catch (failure) {
    if (!(failure instanceof SyntaxError)) throw failure;
    throw new UsageError(`${path} is not JSON: ${failure.message}.`);
  }
  throw new UsageError(`${path} holds no JSON object.`);
}

async function readWhole(program: Pick<Program, "readFile">, path: string): Promise<Uint8Array> {
  try {
    return await program.readFile(path);
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new UsageError(`${path} cannot be read: ${reason}.`);
  }
}
