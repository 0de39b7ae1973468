import type { OperationKind } from "./records.ts";

/*
 * Fields of the operations' kinds. All are critical (odd): what a newer program adds as optional
 * gets an even tag, and is kept.
 *
 * | tag | in kind | value                                                        |
 * | --- | ------- | ------------------------------------------------------------ |
 * | 5   | 1 - 5, 7, 8, 10 | bucket: text                                             |
 * | 7   | 1, 2, 7, 8, 10 | key: text                                                 |
 * | 9   | 1, 2, 8 | null slot: no value, present means true                      |
 * | 11  | 1       | object                                                       |
 * | 13  | 2 - 4, 6 | deleted or created, Unix milliseconds: varint               |
 * | 15  | 3       | owner: text                                                  |
 * | 17  | 5       | name of the setting: text                                    |
 * | 19  | 5       | value of the setting: bytes; left out when it is removed     |
 * | 21  | 6       | access key id: text                                          |
 * | 23  | 6       | state (u8): 1 active, 2 disabled, 3 revoked                  |
 * | 25  | 6       | name: text                                                   |
 * | 27  | 6       | sealed secret: bytes                                         |
 * | 29  | 6       | policies: pairs of name and JSON, each text behind its length |
 * | 31  | 7, 8    | version: HLC and origin (16)                                 |
 * | 33  | 8       | change (u8): 1 tags, 2 retention, 3 legal hold, 4 encryption, 5 ACL |
 * | 35  | 8       | tags: pairs, each text behind its length                     |
 * | 37  | 8       | retention: mode and until when, as in an object's lock       |
 * | 39  | 8       | legal hold on: no value, present means true                  |
 * | 41  | 8       | encryption envelope: bytes                                   |
 * | 43  | 2       | delete marker in the null slot: no value, present means true |
 * | 45  | 8       | name of an ACL: text; empty for none                         |
 * | 47  | 9       | site                                                         |
 * | 61  | 1, 2, 10 | write that was overwritten, or is resolved: HLC (8), origin (8), |
 * |     |         | sequence (varint)                                            |
 * | 63  | 1       | it is a conflict: no value, present means true; only in rows |
 * | 65  | 2       | reading at which the marker of an expired version stands, or |
 * |     |         | a delete that is said again: HLC (8)                         |
 */
/** Tags of those fields. */
export const TAG = {
  bucket: 5,
  key: 7,
  nullSlot: 9,
  object: 11,
  time: 13,
  owner: 15,
  settingName: 17,
  settingValue: 19,
  accessKeyId: 21,
  state: 23,
  name: 25,
  sealedSecret: 27,
  policies: 29,
  version: 31,
  change: 33,
  tags: 35,
  retention: 37,
  holdOn: 39,
  envelope: 41,
  nullMarker: 43,
  acl: 45,
  site: 47,
  write: 61,
  conflict: 63,
  standsAt: 65,
} as const;

/** Which fields a kind has. */
export const BODY_TAGS = {
  "object-put": new Set<number>([
    TAG.bucket,
    TAG.key,
    TAG.nullSlot,
    TAG.object,
    TAG.write,
    TAG.conflict,
  ]),
  "object-delete": new Set<number>([
    TAG.bucket,
    TAG.key,
    TAG.nullSlot,
    TAG.time,
    TAG.nullMarker,
    TAG.write,
    TAG.standsAt,
  ]),
  "bucket-create": new Set<number>([TAG.bucket, TAG.time, TAG.owner]),
  "bucket-delete": new Set<number>([TAG.bucket, TAG.time]),
  "bucket-setting": new Set<number>([TAG.bucket, TAG.settingName, TAG.settingValue]),
  "access-key-put": new Set<number>([
    TAG.time,
    TAG.accessKeyId,
    TAG.state,
    TAG.name,
    TAG.sealedSecret,
    TAG.policies,
  ]),
  "version-delete": new Set<number>([TAG.bucket, TAG.key, TAG.version]),
  "object-meta": new Set<number>([
    TAG.bucket,
    TAG.key,
    TAG.nullSlot,
    TAG.version,
    TAG.change,
    TAG.tags,
    TAG.retention,
    TAG.holdOn,
    TAG.envelope,
    TAG.acl,
  ]),
  "site-put": new Set<number>([TAG.site]),
  "conflict-resolve": new Set<number>([TAG.bucket, TAG.key, TAG.write]),
} as const satisfies Record<OperationKind, ReadonlySet<number>>;
