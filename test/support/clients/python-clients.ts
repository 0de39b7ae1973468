import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { mustRun, runProgram } from "../run-program.ts";
import { provideOnce } from "./provide-once.ts";

const REQUIREMENTS = join(dirname(fileURLToPath(import.meta.url)), "requirements.txt");
/** The versions the pinned wheels are built for. */
const PYTHONS = ["python3.11", "python3", "python3.12", "python3.13"];
const SUPPORTED = /^Python 3\.1[123]\./;

async function findPython(): Promise<string> {
  for (const name of PYTHONS) {
    const found = await runProgram(name, ["--version"]).catch(() => undefined);
    if (found?.status === 0 && SUPPORTED.test(found.stdout)) return name;
  }
  throw new Error(
    "Install Python 3.11, 3.12 or 3.13 with its venv module: awscli, s3cmd and boto3 need it.",
  );
}

async function fillEnvironment(folder: string): Promise<void> {
  const python = await findPython();
  const made = await runProgram(python, ["-m", "venv", folder]);
  if (made.status !== 0) {
    throw new Error(
      `Install the venv module of ${python} (Debian: python3-venv), which awscli, s3cmd and boto3 need: ${made.stderr.trim()}`,
    );
  }
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"];
  const installed = await runProgram(join(folder, "bin", "python"), [
    ...pip,
    "--only-binary=:all:",
    "--requirement",
    REQUIREMENTS,
  ]);
  if (installed.status !== 0) {
    throw new Error(
      `Give pip a package index that has what ${REQUIREMENTS} pins, or renew the pins: ${installed.stderr.trim()}`,
    );
  }
}

/** The Python of a virtual environment that holds awscli, s3cmd and boto3. */
export async function pythonWithClients(): Promise<string> {
  const pins = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex");
  const folder = await provideOnce(`python-${pins.slice(0, 12)}`, fillEnvironment);
  return join(folder, "bin", "python");
}

/** How to start awscli or s3cmd: a program and its first arguments. */
export async function pythonClient(name: "aws" | "s3cmd"): Promise<readonly [string, string]> {
  const python = await pythonWithClients();
  const script = join(dirname(python), name);
  await mustRun(python, [script, "--version"]);
  return [python, script];
}
