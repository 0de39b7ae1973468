import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, administer, keyPath } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { EXIT_CODES } from "../output.ts";
import { readPolicyFile } from "../policy-file.ts";

const put: Command = {
  name: "keys policy put",
  summary: "Give an access key a policy of AWS's kind, or replace the one of that name",
  operands: ["access-key", "name", "file"],
  settings: "place",
  json: true,
  examples: ["atoll keys policy put ATOLEXAMPLE photos policy.json"],
  async run(input) {
    const body = { policy: await readPolicyFile(input.program, input.operands[2] ?? "") };
    return administer(input, "PUT", policyPath(input), { body, show: showNames });
  },
};

const get: Command = {
  name: "keys policy get",
  summary: "Print a policy of an access key",
  operands: ["access-key", "name"],
  settings: "place",
  json: true,
  examples: ["atoll keys policy get ATOLEXAMPLE photos"],
  run: (input) =>
    administer(input, "GET", policyPath(input), {
      show: ({ policy }) => JSON.stringify(policy, undefined, 2),
    }),
};

const list: Command = {
  name: "keys policy list",
  summary: "List the policies of an access key, grants included",
  operands: ["access-key"],
  settings: "place",
  json: true,
  examples: ["atoll keys policy list ATOLEXAMPLE"],
  run: (input) => administer(input, "GET", `${keyPath(input)}/policies`, { show: showNames }),
};

const remove: Command = {
  name: "keys policy delete",
  summary: "Take a policy away from an access key",
  operands: ["access-key", "name"],
  settings: "place",
  json: true,
  examples: ["atoll keys policy delete ATOLEXAMPLE photos"],
  run: (input) => administer(input, "DELETE", policyPath(input), { show: showNames }),
};

const BUCKET_FLAG = { flag: "bucket", placeholder: "NAME" } as const;

const validate: Command = {
  name: "policy validate",
  summary: "Check a policy without using it",
  operands: ["file"],
  flags: [{ ...BUCKET_FLAG, description: "Check it as the policy of this bucket" }],
  settings: "place",
  json: true,
  examples: [
    "atoll policy validate policy.json",
    "atoll policy validate --bucket photos bucket-policy.json",
  ],
  async run(input) {
    const bucket = flagValue(input, "bucket");
    const policy = await readPolicyFile(input.program, input.operands[0] ?? "");
    const body = bucket === undefined ? { policy } : { policy, bucket };
    return administer(input, "POST", "policy/validate", {
      body,
      show: ({ valid, problem }) =>
        valid === false ? `The policy cannot be used: ${String(problem)}` : "The policy is fine.",
      exitCode: ({ valid }) => (valid === false ? EXIT_CODES.failed : EXIT_CODES.fine),
    });
  },
};

const test: Command = {
  name: "policy test",
  summary: "Say whether something is allowed, and by which statement",
  flags: [
    { flag: "key", placeholder: "ID", description: "Who asks: an access key" },
    { flag: "anonymous", placeholder: undefined, description: "Who asks: nobody known" },
    { flag: "action", placeholder: "ACTION", description: "What is asked for, as in policies" },
    { ...BUCKET_FLAG, description: "The bucket it is asked of" },
    { flag: "object", placeholder: "KEY", description: "The object in that bucket" },
    {
      flag: "with",
      placeholder: "NAME=VALUE",
      description: "What the request says, by condition key",
      repeatable: true,
    },
  ],
  settings: "place",
  json: true,
  examples: [
    "atoll policy test --key ATOLEXAMPLE --action s3:GetObject --bucket photos --object a.jpg",
    "atoll policy test --anonymous --action s3:ListBucket --bucket photos --with s3:prefix=public/",
  ],
  async run(input) {
    return administer(input, "POST", "policy/test", { body: inquiryOf(input), show: showDecision });
  },
};

export const POLICY_COMMANDS: readonly Command[] = [put, get, list, remove, validate, test];

function inquiryOf(input: CommandInput): Answer {
  const accessKey = flagValue(input, "key");
  if ((accessKey === undefined) !== input.values.has("anonymous")) {
    throw new UsageError("Say who asks: --key ID or --anonymous.");
  }
  const action = flagValue(input, "action");
  if (action === undefined) throw new UsageError("Say what is asked for: --action s3:GetObject.");
  const values: Record<string, string[]> = {};
  for (const text of input.values.get("with") ?? []) {
    const equalsAt = text.indexOf("=");
    if (equalsAt < 1) throw new UsageError(`--with takes NAME=VALUE, and not "${text}".`);
    const name = text.slice(0, equalsAt);
    values[name] = [...(values[name] ?? []), text.slice(equalsAt + 1)];
  }
  const bucket = flagValue(input, "bucket");
  const key = flagValue(input, "object");
  return {
    action,
    values,
    ...(accessKey === undefined ? {} : { access_key: accessKey }),
    ...(bucket === undefined ? {} : { bucket }),
    ...(key === undefined ? {} : { key }),
  };
}

/** How a decision is told to people, by its reason. */
const REASONS: Readonly<Record<string, string>> = {
  root: "the root key owns everything",
  allowed: "a statement allows it",
  "explicit-deny": "a statement denies it",
  "no-allow": "no statement allows it",
};

function showDecision({ allowed, reason, statement }: Answer): string {
  const verdict = `${allowed === true ? "Allowed" : "Denied"}: ${REASONS[String(reason)] ?? ""}.`;
  if (!isRecord(statement)) return verdict;
  const sid = statement["sid"] === undefined ? "" : ` (${String(statement["sid"])})`;
  const place = `statement ${String(statement["number"])}${sid} of ${String(statement["policy"])}`;
  return `${verdict}\n${String(statement["effect"])} in ${place}`;
}

function policyPath(input: CommandInput): string {
  return `${keyPath(input)}/policies/${encodeURIComponent(input.operands[1] ?? "")}`;
}

function showNames({ policies }: Answer): string {
  const names = Array.isArray(policies) ? policies.map(String) : [];
  return names.length === 0 ? "The key has no policies." : names.join("\n");
}
