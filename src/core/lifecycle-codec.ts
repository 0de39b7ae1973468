import { readPairs, writePairsField } from "./attribute-codec.ts";
import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import {
  FILTER_FORMS,
  type FilterForm,
  type Lifecycle,
  type LifecycleExpiration,
  type LifecycleFilter,
  type LifecycleRule,
  TRANSITION_SIZES,
} from "./lifecycle.ts";
import { FieldReader, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Lifecycle of a bucket, the value of its setting "lifecycle":
 *
 * | tag | value                                                                  |
 * | --- | ---------------------------------------------------------------------- |
 * | 1   | rules in order, each behind its length: fields as below                |
 * | 2   | what transitions leave alone: varint, 1 all_storage_classes_128K,      |
 * |     | 2 varies_by_storage_class                                              |
 *
 * A rule of a lifecycle:
 *
 * | tag | value                                                                  |
 * | --- | ---------------------------------------------------------------------- |
 * | 1   | id: text                                                               |
 * | 3   | state: varint, 1 enabled, 2 disabled                                   |
 * | 5   | form of the filter: varint, 1 prefix, 2 filter, 3 and                  |
 * | 7   | prefix: text                                                           |
 * | 9   | tags: pairs of name and value, each text behind its length             |
 * | 11  | objects of more bytes than this: varint                                |
 * | 13  | objects of fewer bytes than this: varint                               |
 * | 15  | days after which current versions expire: varint                       |
 * | 17  | date on which current versions expire, Unix milliseconds: varint       |
 * | 19  | delete markers with nothing behind them: varint, 1 remove, 2 keep      |
 * | 21  | days after which noncurrent versions are removed: varint               |
 * | 23  | noncurrent versions that stay: varint                                  |
 * | 25  | days after which uploads in progress are aborted: varint               |
 */
const TAG = { rules: 1, transitionSize: 2 } as const;
const RULE_TAG = {
  ...{ id: 1, state: 3, form: 5, prefix: 7, tags: 9, greater: 11, less: 13 },
  ...{ days: 15, date: 17, markers: 19, noncurrentDays: 21, keep: 23, abortDays: 25 },
} as const;

/** The name of the bucket setting. */
export const LIFECYCLE_SETTING = "lifecycle";

/** The value of the setting; the same lifecycle has the same bytes. */
export function encodeLifecycle({ rules, transitionSize }: Lifecycle): Buffer {
  const list = new ByteWriter();
  for (const rule of rules) list.sized(encodeRule(rule));
  const writer = new ByteWriter();
  writer.varint(TAG.rules).sized(list.view());
  writeVarintField(writer, TAG.transitionSize, TRANSITION_SIZES.indexOf(transitionSize) + 1);
  return writer.finish();
}

/** Throws LayoutError, or StorageFault for unknown fields: then nothing is removed. */
export function decodeLifecycle(bytes: Uint8Array): Lifecycle {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  const rules: LifecycleRule[] = [];
  let transitionSize: Lifecycle["transitionSize"] = TRANSITION_SIZES[0];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    switch (tag) {
      case TAG.rules:
        while (fields.more()) rules.push(decodeRule(fields.reader.sized()));
        break;
      case TAG.transitionSize:
        transitionSize = choice(TRANSITION_SIZES, fields.reader.varint(), "transition size");
        break;
      default:
        fields.passUnknown(tag);
    }
  }
  if (rules.length === 0) throw new LayoutError("a lifecycle has no rules");
  return { rules, transitionSize };
}

function encodeRule(rule: LifecycleRule): Buffer {
  const { filter, expiration, noncurrent } = rule;
  const writer = new ByteWriter();
  const number = (tag: number, value: number | undefined): void => {
    if (value !== undefined) writeVarintField(writer, tag, value);
  };
  writer.varint(RULE_TAG.id).text(rule.id);
  number(RULE_TAG.state, rule.enabled ? 1 : 2);
  number(RULE_TAG.form, FILTER_FORMS.indexOf(rule.form) + 1);
  if (filter.prefix !== undefined) writer.varint(RULE_TAG.prefix).text(filter.prefix);
  writePairsField(writer, RULE_TAG.tags, filter.tags);
  number(RULE_TAG.greater, filter.sizeGreaterThan);
  number(RULE_TAG.less, filter.sizeLessThan);
  if (expiration?.kind === "days") number(RULE_TAG.days, expiration.days);
  if (expiration?.kind === "date") number(RULE_TAG.date, expiration.dateMs);
  if (expiration?.kind === "markers") number(RULE_TAG.markers, expiration.remove ? 1 : 2);
  number(RULE_TAG.noncurrentDays, noncurrent?.days);
  number(RULE_TAG.keep, noncurrent?.keep);
  number(RULE_TAG.abortDays, rule.abortUploadDays);
  return writer.finish();
}

function decodeRule(bytes: Uint8Array): LifecycleRule {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  const numbers = new Map<number, number>();
  let id: string | undefined;
  let prefix: string | undefined;
  let tags: LifecycleFilter["tags"] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === RULE_TAG.id) id = fields.text();
    else if (tag === RULE_TAG.prefix) prefix = fields.text();
    else if (tag === RULE_TAG.tags) tags = readPairs(fields);
    else if (NUMBER_TAGS.has(tag)) numbers.set(tag, fields.reader.varint());
    else fields.passUnknown(tag);
  }
  const sizeGreaterThan = numbers.get(RULE_TAG.greater);
  const sizeLessThan = numbers.get(RULE_TAG.less);
  return {
    id: required(id, "the id of a rule"),
    enabled: choice([true, false], numbers.get(RULE_TAG.state), "state"),
    form: choice<FilterForm>(FILTER_FORMS, numbers.get(RULE_TAG.form), "form"),
    filter: { prefix, tags, sizeGreaterThan, sizeLessThan },
    expiration: expirationOf(numbers),
    noncurrent: noncurrentOf(numbers),
    abortUploadDays: numbers.get(RULE_TAG.abortDays),
  };
}

const NUMBER_TAGS: ReadonlySet<number> = new Set(
  Object.values(RULE_TAG).filter((tag) => {
    return tag !== RULE_TAG.id && tag !== RULE_TAG.prefix && tag !== RULE_TAG.tags;
  }),
);

function expirationOf(numbers: ReadonlyMap<number, number>): LifecycleExpiration | undefined {
  const days = numbers.get(RULE_TAG.days);
  const dateMs = numbers.get(RULE_TAG.date);
  const markers = numbers.get(RULE_TAG.markers);
  const given = [days, dateMs, markers].filter((value) => value !== undefined);
  if (given.length > 1) throw new LayoutError("a rule expires in more than one way");
  if (days !== undefined) return { kind: "days", days };
  if (dateMs !== undefined) return { kind: "date", dateMs };
  if (markers === undefined) return undefined;
  return { kind: "markers", remove: choice([true, false], markers, "delete markers") };
}

function noncurrentOf(numbers: ReadonlyMap<number, number>): LifecycleRule["noncurrent"] {
  const days = numbers.get(RULE_TAG.noncurrentDays);
  const keep = numbers.get(RULE_TAG.keep);
  if (days !== undefined) return { days, keep };
  if (keep !== undefined) throw new LayoutError("a rule keeps versions that it never removes");
  return undefined;
}

/** The value that a number from 1 stands for. */
function choice<Value>(values: readonly Value[], number: number | undefined, what: string): Value {
  const value = values[(number ?? 0) - 1];
  if (value === undefined) throw new LayoutError(`a ${what} that is not known`);
  return value;
}
