import { LIMITS } from "../../core/limits.ts";
import { type AddressRange, holdsAddress, parseAddressRange } from "./address-range.ts";
import { isKnownConditionKey } from "./condition-keys.ts";
import { PolicyProblem } from "./policy-problem.ts";
import {
  type ConditionValues,
  conditionKey,
  parseTemplate,
  resolveTemplate,
  type Template,
} from "./template.ts";
import { fits } from "./wildcard.ts";

/** True, false, or undefined when nobody can say: a value is not of its form. */
export type Verdict = boolean | undefined;

/** Compares one value of a request with one of the policy. */
type Test = (given: string, valuesOf: ConditionValues) => Verdict;

type Rules = { readonly variables: boolean };

/** Reads one value of the policy; undefined when it is not of the operator's form. */
type ReadTest = (text: string, rules: Rules) => Test | undefined;

export type Condition = {
  /** As `conditionKey` writes it. */
  readonly key: string;
  /** As the policy has it, for those who want to know whether access is public. */
  readonly operator: string;
  readonly negated: boolean;
  readonly quantifier: "one" | "all" | "any";
  readonly ifExists: boolean;
  readonly texts: readonly string[];
  /** Undefined for `Null`, which only asks whether there is a value. */
  readonly tests: readonly Test[] | undefined;
};

type Operator = { readonly negated: boolean; readonly read: ReadTest | "null" };

/** AWS: IAM user guide, reference_policies_elements_condition_operators.html */
const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ...pairOf("StringEquals", "StringNotEquals", textTest({ wild: false, lowerCase: false })),
  ...pairOf(
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    textTest({ wild: false, lowerCase: true }),
  ),
  ...pairOf("StringLike", "StringNotLike", textTest({ wild: true, lowerCase: false })),
  ...pairOf("ArnEquals", "ArnNotEquals", textTest({ wild: true, lowerCase: false })),
  ...pairOf("ArnLike", "ArnNotLike", textTest({ wild: true, lowerCase: false })),
  ...pairOf(
    "NumericEquals",
    "NumericNotEquals",
    orderTest(readNumber, (left, right) => left === right),
  ),
  ...one(
    "NumericLessThan",
    orderTest(readNumber, (left, right) => left < right),
  ),
  ...one(
    "NumericLessThanEquals",
    orderTest(readNumber, (left, right) => left <= right),
  ),
  ...one(
    "NumericGreaterThan",
    orderTest(readNumber, (left, right) => left > right),
  ),
  ...one(
    "NumericGreaterThanEquals",
    orderTest(readNumber, (left, right) => left >= right),
  ),
  ...pairOf(
    "DateEquals",
    "DateNotEquals",
    orderTest(readDateMs, (left, right) => left === right),
  ),
  ...one(
    "DateLessThan",
    orderTest(readDateMs, (left, right) => left < right),
  ),
  ...one(
    "DateLessThanEquals",
    orderTest(readDateMs, (left, right) => left <= right),
  ),
  ...one(
    "DateGreaterThan",
    orderTest(readDateMs, (left, right) => left > right),
  ),
  ...one(
    "DateGreaterThanEquals",
    orderTest(readDateMs, (left, right) => left >= right),
  ),
  ...one(
    "Bool",
    orderTest(readTruth, (left, right) => left === right),
  ),
  ...one(
    "BinaryEquals",
    orderTest(readBinary, (left, right) => left === right),
  ),
  ...pairOf("IpAddress", "NotIpAddress", addressTest),
  ["null", { negated: false, read: "null" }],
]);

function one(name: string, read: ReadTest): ReadonlyArray<readonly [string, Operator]> {
  return [[name.toLowerCase(), { negated: false, read }]];
}

function pairOf(
  name: string,
  opposite: string,
  read: ReadTest,
): ReadonlyArray<readonly [string, Operator]> {
  return [...one(name, read), [opposite.toLowerCase(), { negated: true, read }]];
}

function textTest(rules: { readonly wild: boolean; readonly lowerCase: boolean }): ReadTest {
  const { lowerCase } = rules;
  return (text, { variables }) => {
    const template: Template = parseTemplate(text, { ...rules, variables });
    const { fixed } = template;
    // Of a thousand keys that one request deletes, each is judged by the same headers.
    let last: { readonly given: string; readonly isFit: boolean } | undefined;
    return (given, valuesOf) => {
      if (given.length > LIMITS.policyValueCharsMax) return undefined;
      if (last?.given === given) return last.isFit;
      const pattern = fixed ?? resolveTemplate(template, valuesOf, lowerCase);
      if (pattern === undefined) return undefined;
      const isFit = fits(pattern, lowerCase ? given.toLowerCase() : given);
      if (fixed !== undefined) last = { given, isFit };
      return isFit;
    };
  };
}

function orderTest<Value>(
  readValue: (text: string) => Value | undefined,
  compare: (given: Value, wanted: Value) => boolean,
): ReadTest {
  return (text) => {
    const wanted = readValue(text);
    if (wanted === undefined) return undefined;
    return (given) => {
      const value = readValue(given);
      return value === undefined ? undefined : compare(value, wanted);
    };
  };
}

function addressTest(text: string): Test | undefined {
  const range: AddressRange | undefined = parseAddressRange(text);
  return range === undefined ? undefined : (given) => holdsAddress(range, given);
}

function readNumber(text: string): number | undefined {
  return /^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : undefined;
}

/** ISO 8601 with or without a time, or seconds since 1970. */
function readDateMs(text: string): number | undefined {
  if (/^\d{1,12}(?:\.\d{1,6})?$/.test(text)) return Number(text) * 1000;
  if (!/^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d))?$/.test(text)) {
    return undefined;
  }
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

function readTruth(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  return lower === "true" ? true : lower === "false" ? false : undefined;
}

function readBinary(text: string): string | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? text.replace(/=+$/, "") : undefined;
}

const QUANTIFIERS: ReadonlyMap<string, Condition["quantifier"]> = new Map([
  ["forallvalues", "all"],
  ["foranyvalue", "any"],
]);

/** Reads one operator of a `Condition` block for one key. */
export function parseCondition(
  operatorText: string,
  keyText: string,
  texts: readonly string[],
  rules: Rules,
): Condition {
  const [, prefix, name = "", suffix] = /^(?:(\w+):)?(\w+?)(IfExists)?$/i.exec(operatorText) ?? [];
  const quantifier = prefix === undefined ? "one" : QUANTIFIERS.get(prefix.toLowerCase());
  const operator = OPERATORS.get(name.toLowerCase());
  if (operator === undefined || quantifier === undefined) {
    throw new PolicyProblem(`Invalid Condition type : ${operatorText}`);
  }
  const key = conditionKey(keyText);
  if (!isKnownConditionKey(key)) throw new PolicyProblem("Policy has an invalid condition key");
  const { negated, read } = operator;
  const ifExists = suffix !== undefined;
  const shared = { key, operator: name, quantifier, ifExists, texts };
  if (read === "null") {
    if (ifExists || prefix !== undefined || texts.some((text) => readTruth(text) === undefined)) {
      throw new PolicyProblem(`Invalid Condition type : ${operatorText}`);
    }
    return { ...shared, negated: false, tests: undefined };
  }
  const tests = texts.map((text) => {
    const test = read(text, rules);
    if (test === undefined) throw new PolicyProblem(`Invalid value for ${name} : ${keyText}`);
    return test;
  });
  return { ...shared, negated, tests };
}

/** Whether a request meets a condition. */
export function meets(condition: Condition, valuesOf: ConditionValues): Verdict {
  const { key, negated, quantifier, ifExists, tests } = condition;
  const given = valuesOf(key);
  if (tests === undefined) {
    return condition.texts.some((text) => readTruth(text) === (given === undefined));
  }
  if (given === undefined || given.length === 0) {
    if (ifExists || quantifier === "all") return true;
    return quantifier === "one" && negated;
  }
  const fitting = (value: string): Verdict => {
    const found = anyOf(tests, (test) => test(value, valuesOf));
    return negated ? opposite(found) : found;
  };
  // Of a key with several values, a plain operator wants one that fits, and its negation none.
  const every = quantifier === "all" || (quantifier === "one" && negated);
  return every
    ? opposite(anyOf(given, (value) => opposite(fitting(value))))
    : anyOf(given, fitting);
}

/** "Or" with a third value: what is true stays true, whatever nobody can say about the rest. */
function anyOf<Item>(items: readonly Item[], judge: (item: Item) => Verdict): Verdict {
  let verdict: Verdict = false;
  for (const item of items) {
    const one = judge(item);
    if (one === true) return true;
    if (one === undefined) verdict = undefined;
  }
  return verdict;
}

function opposite(verdict: Verdict): Verdict {
  return verdict === undefined ? undefined : !verdict;
}
