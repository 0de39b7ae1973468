import type { AccessKeyId } from "../../core/names.ts";
import { PolicyProblem } from "./policy-problem.ts";

/** Who asks, as far as policies want to know. */
export type Caller = {
  readonly kind: "root" | "user" | "anonymous";
  readonly id: AccessKeyId;
  /** A name for people, or "". */
  readonly name: string;
};

/**
 * Everything here belongs to one account. Policies may leave its number out, as
 * `arn:aws:iam:::user/NAME`.
 */
export const ACCOUNT = "000000000000";
const ACCOUNTS = ["", ACCOUNT];

/** Whom a statement is about. */
export type Principals = {
  /** `NotPrincipal`: everyone but these. */
  readonly negated: boolean;
  /** `*`: also those who do not sign. */
  readonly everyone: boolean;
  /** The account as such. */
  readonly account: boolean;
  readonly users: ReadonlySet<string>;
};

const USER = /^arn:aws:iam::(\d*):user\/(?:[\x21-\x7e]+\/)?([\w+=,.@-]{1,128})$/;
const ROOT = /^arn:aws:iam::(\d*):root$/;
/** Somebody of another account of AWS: a policy may name them, and they are never who asks. */
const FOREIGN = /^(?:\d{12}|arn:aws:(?:iam|sts)::\d{12}:(?:root|[a-z-]+\/[\w+=,.@/-]{1,512}))$/;
const SERVICE = /^[a-z0-9.-]+\.(?:amazonaws\.com|amazon\.com)$/;

/**
 * Reads `Principal` or `NotPrincipal`. A user is named by its access key, or by the name that was
 * given to the key; services and other accounts of AWS may be named, and are never who asks.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
 */
export function parsePrincipals(value: unknown, negated: boolean): Principals {
  if (value === "*") return { negated, everyone: true, account: false, users: new Set() };
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid();
  let everyone = false;
  let account = false;
  const users = new Set<string>();
  const kinds = Object.entries(value);
  if (kinds.length === 0) throw invalid();
  for (const [kind, named] of kinds) {
    for (const name of textsOf(named)) {
      if (kind === "Service" && SERVICE.test(name)) continue;
      if (kind !== "AWS") throw invalid();
      if (name === "*") everyone = true;
      else if (isAccount(name)) account = true;
      else if (!FOREIGN.test(name) || name.includes(ACCOUNT)) users.add(userOf(name));
    }
  }
  return { negated, everyone, account, users };
}

function textsOf(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw invalid();
  return list.map((text) => {
    if (typeof text !== "string") throw invalid();
    return text;
  });
}

function isAccount(name: string): boolean {
  const account = name === ACCOUNT ? name : ROOT.exec(name)?.[1];
  return account !== undefined && ACCOUNTS.includes(account);
}

function userOf(name: string): string {
  const [, account, user] = USER.exec(name) ?? [];
  if (account === undefined || user === undefined || !ACCOUNTS.includes(account)) throw invalid();
  return user;
}

function invalid(): PolicyProblem {
  return new PolicyProblem("Invalid principal in policy");
}

/**
 * Whether a statement is about the caller. An Allow for the account as such leaves the decision to
 * the policies of its users; a Deny for the account denies it to all of them.
 */
export function isAbout(principals: Principals, effect: "Allow" | "Deny", caller: Caller): boolean {
  const { negated, everyone, account, users } = principals;
  const wide = (effect === "Deny") !== negated;
  const named =
    everyone ||
    (caller.kind !== "anonymous" &&
      ((account && (wide || caller.kind === "root")) ||
        users.has(caller.id) ||
        (caller.name !== "" && caller.kind === "user" && users.has(caller.name))));
  return named !== negated;
}

/** What `aws:username` is: the name that was given to the key, or the access key itself. */
export function userNameOf(caller: Caller): string | undefined {
  if (caller.kind !== "user") return undefined;
  return caller.name === "" ? caller.id : caller.name;
}

/** The caller as policies name it; undefined for one who did not sign. */
export function principalArn(caller: Caller): string | undefined {
  if (caller.kind === "anonymous") return undefined;
  const user = userNameOf(caller);
  return user === undefined
    ? `arn:aws:iam::${ACCOUNT}:root`
    : `arn:aws:iam::${ACCOUNT}:user/${user}`;
}
