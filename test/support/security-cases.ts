/** A test by its file and by words of its name. */
type Held = readonly [file: string, words: string];

export type SecurityCase = {
  readonly ids: string;
  readonly product: string;
  readonly story: string;
  /** Tests that hold it beside those that carry its number in their name. */
  readonly heldBy?: readonly Held[];
  /** Why it cannot happen here. */
  readonly cannot?: string;
};

const NO_OUTBOUND = "nothing here opens a connection to an address that a client names";

/** Published faults of S3 servers, in the order of research: the number is the name of a case. */
export const SECURITY_CASES: readonly SecurityCase[] = [
  {
    ids: "CVE-2026-40344",
    product: "MinIO",
    story: "a new kind of signature fell through a switch and was not checked",
  },
  {
    ids: "CVE-2026-41145",
    product: "MinIO",
    story: "checked only when a header was there; credentials in the query went by",
  },
  {
    ids: "CVE-2025-31489",
    product: "MinIO",
    story: "uploads with an unsigned trailer were never checked",
  },
  {
    ids: "CVE-2021-21390",
    product: "MinIO",
    story: "signatures of chunks were not verified to the end",
  },
  {
    ids: "CVE-2026-34204",
    product: "MinIO",
    story: "headers of replication let a client write internal metadata",
  },
  {
    ids: "CVE-2026-42600",
    product: "MinIO",
    story: "a path in a request between nodes left its directory",
  },
  {
    ids: "CVE-2023-28432",
    product: "MinIO",
    story: "an open door told the environment, root password included",
  },
  {
    ...{
      ids: "CVE-2023-28434",
      product: "MinIO",
      story: "a form's bucket differed from the one that was checked",
    },
    heldBy: [["test/e2e/forms.test.ts", "a policy is for its bucket only"]],
  },
  { ids: "CVE-2023-28433", product: "MinIO", story: "backslashes left the directory" },
  { ids: "CVE-2022-35919", product: "MinIO", story: "an administrator's request read any file" },
  { ids: "CVE-2022-31028", product: "MinIO", story: "connections never timed out" },
  {
    ids: "CVE-2018-1000538",
    product: "MinIO",
    story: "a body was read into memory whatever its size",
  },
  {
    ids: "CVE-2026-39414",
    product: "MinIO",
    story: "a line of CSV without end took all memory",
    cannot: "SelectObjectContent is not offered: nothing reads CSV",
  },
  { ids: "CVE-2020-11012", product: "MinIO", story: "a key's name was enough, without its secret" },
  {
    ids: "CVE-2021-21287",
    product: "MinIO",
    story: "an internal call went where the Host header said",
    cannot: NO_OUTBOUND,
  },
  { ids: "CVE-2021-21362", product: "MinIO", story: "a shared link could do more than its signer" },
  {
    ids: "CVE-2021-43858, CVE-2022-24842, CVE-2024-24747, CVE-2024-55949, CVE-2025-62506",
    product: "MinIO",
    story: "accounts raised their own rights",
  },
  {
    ...{
      ids: "CVE-2023-25812",
      product: "MinIO",
      story: "a denial was forgotten when governance was bypassed",
    },
    heldBy: [
      ["src/s3api/policy/decide.test.ts", "a deny beats every allow"],
      ["test/e2e/object-lock.test.ts", "shortened by those who bypass governance"],
    ],
  },
  { ids: "CVE-2024-36107", product: "MinIO", story: "conditions told strangers of objects" },
  {
    ids: "CVE-2026-33419",
    product: "MinIO",
    story: "secrets and names could be guessed at full speed",
  },
  {
    ids: "CVE-2026-33322",
    product: "MinIO",
    story: "a token chose its own algorithm",
    cannot: "there are no JSON web tokens",
  },
  { ids: "seaweedfs 2180", product: "SeaweedFS", story: "any aws-chunked upload went unchecked" },
  {
    ids: "seaweedfs 7912",
    product: "SeaweedFS",
    story: "unsigned streaming was taken for signed, and crashed",
  },
  {
    ids: "CVE-2026-54917",
    product: "SeaweedFS",
    story: "dots in the path crossed into another bucket",
  },
  { ids: "CVE-2026-55874", product: "SeaweedFS", story: "the same by the source of a copy" },
  {
    ids: "CVE-2026-55873",
    product: "SeaweedFS",
    story: "the service in a signature's scope chose another interface",
  },
  {
    ids: "CVE-2026-72920",
    product: "SeaweedFS",
    story: "an interface of administration asked for nothing",
  },
  {
    ids: "CVE-2026-73080",
    product: "SeaweedFS",
    story: "anybody could have the server fetch an address",
    cannot: NO_OUTBOUND,
  },
  {
    ids: "CVE-2024-40120",
    product: "SeaweedFS",
    story: "a key became part of a query to its database",
  },
  { ids: "GHSA-v2ch-c8v8-fgr7", product: "versitygw", story: "chunks without a length crashed it" },
  {
    ids: "versitygw 67aaa80d",
    product: "versitygw",
    story: "a copy's source was decoded in two ways",
  },
  {
    ids: "versitygw cd0b4e6d",
    product: "versitygw",
    story: "a policy saw another key than the disk",
  },
  {
    ids: "versitygw eecc1a77",
    product: "versitygw",
    story: "the key of a form left the directory",
  },
  {
    ids: "versitygw 9ac52cd5",
    product: "versitygw",
    story: "a key's name became a filter of LDAP",
  },
  {
    ...{ ids: "CVE-2025-68926", product: "RustFS", story: "a secret was the same everywhere" },
    heldBy: [["test/e2e/operator.test.ts", "a root key of its own"]],
  },
  {
    ids: "GHSA-r5qv-rc46-hv8q, GHSA-75fx, GHSA-68cw",
    product: "RustFS",
    story: "nodes fell back to a public secret",
  },
  {
    ids: "GHSA-c667-rgrv-99vj",
    product: "RustFS",
    story: "a signature between nodes was good for any call",
  },
  {
    ids: "GHSA-g8w9-qw9q-fghr, GHSA-xm99-m3gq-83g8",
    product: "RustFS",
    story: "unsigned x-amz headers were believed",
  },
  { ids: "CVE-2026-54330", product: "Ceph RGW", story: "the same" },
  {
    ...{
      ids: "GHSA-w5fh-f8xh-5x3p",
      product: "RustFS",
      story: "conditions of a form's policy were not enforced",
    },
    heldBy: [["test/e2e/forms.test.ts", "a form with %s is refused, and nothing stays"]],
  },
  {
    ids: "GHSA-mx42-j6wv-px98, GHSA-wfxj-ph3v-7mjf",
    product: "RustFS",
    story: "the source of a part's copy was not authorised",
  },
  {
    ids: "GHSA-3ppv-fx5m-m749",
    product: "RustFS",
    story: "reading a version was judged as reading",
  },
  { ids: "GHSA-x298-9x87-fvjq", product: "RustFS", story: "a fallback went past the decision" },
  {
    ids: "GHSA-6r96-hmgc-726c",
    product: "RustFS",
    story: "headers overwrote what the server itself knows",
  },
  {
    ...{
      ids: "GHSA-v9cp-qfw9-9pfp",
      product: "RustFS",
      story: "ForAllValues and ForAnyValue were mixed up with their negations",
    },
    heldBy: [["src/s3api/policy/condition.test.ts", "and several values %j is %s"]],
  },
  {
    ids: "GHSA-fc6g-2gcp-2qrq",
    product: "RustFS",
    story: "the client's address came from a header",
  },
  {
    ids: "GHSA-m479-9x88-94w6",
    product: "RustFS",
    story: "a name changed its address between check and use",
    cannot: NO_OUTBOUND,
  },
  {
    ids: "GHSA-r54g, GHSA-8cm2, GHSA-333v",
    product: "RustFS",
    story: "secrets and right signatures stood in logs",
  },
  {
    ids: "GHSA-796f-j7xp-hwf4, GHSA-3495-h8r9-gfqg",
    product: "RustFS",
    story: "lists and exports told secrets",
  },
  {
    ids: "GHSA-pfcq, GHSA-mm2q, GHSA-vcwh, GHSA-jqmc, GHSA-f5cv",
    product: "RustFS",
    story: "whoever had any key was an administrator",
  },
  {
    ...{
      ids: "GHSA-j548-9grx-fh4f",
      product: "RustFS",
      story: "a lock that could not be read was none",
    },
    heldBy: [["src/core/object-lock-state.test.ts", "not read as a weaker one"]],
  },
  { ids: "GHSA-gw2x-q739-qhcr", product: "RustFS", story: "a malformed call crashed the node" },
  {
    ...{
      ids: "GHSA-x5xv-223c-8vm7, GHSA-v9fg-3cr2-277j",
      product: "RustFS",
      story: "any origin was let in with credentials",
    },
    heldBy: [["src/s3api/cors/match.test.ts", "an answer for everybody carries no credentials"]],
  },
  {
    ids: "CVE-2021-3524, CVE-2020-10753, CVE-2015-5245",
    product: "Ceph RGW",
    story: "line breaks got into headers of answers",
  },
  {
    ids: "CVE-2020-12059, CVE-2016-8626, CVE-2019-10222, CVE-2019-19337, CVE-2018-7262, CVE-2022-3854",
    product: "Ceph RGW",
    story: "malformed requests crashed it",
  },
  {
    ids: "CVE-2020-1700, CVE-2019-3821",
    product: "Ceph RGW",
    story: "clients that left took sockets and files with them",
  },
  {
    ...{ ids: "CVE-2018-16889", product: "Ceph RGW", story: "keys of encryption stood in logs" },
    heldBy: [["test/e2e/customer-keys.test.ts", "neither log nor disk tell a client's key"]],
  },
  { ids: "CVE-2016-7031", product: "Ceph RGW", story: "strangers could list" },
  {
    ids: "CVE-2026-39944",
    product: "Ceph RGW",
    story: "a token without a seal could be changed bit by bit",
  },
  {
    ids: "CVE-2018-1128, CVE-2020-25660",
    product: "Ceph",
    story: "what had been said between nodes could be said again",
  },
  { ids: "rgw 72669", product: "Ceph RGW", story: "an empty copy source crashed it" },
  {
    ...{
      ids: "rhbz 1989752",
      product: "Ceph RGW",
      story: "compliance could be turned into governance",
    },
    heldBy: [
      ["test/e2e/object-lock.test.ts", "in compliance mode is neither shortened nor bypassed"],
    ],
  },
  {
    ids: "CLDSRV-490, CLDSRV-616",
    product: "Zenko CloudServer",
    story: "policies were judged without the request",
  },
  { ids: "GHSA-ccjc-4qc3-jxqc", product: "Incus", story: "an upload id was a path" },
  {
    ids: "garage 39, c82d91c6",
    product: "Garage",
    story: "a delete by a slow clock lost to what it deleted",
  },
  {
    ids: "CVE-2026-26278, CVE-2026-33036, GHSA-jp2q-39xq-3w4g",
    product: "fast-xml-parser",
    story: "entities grew without bound, three times",
  },
  {
    ids: "uWebSockets 601a100",
    product: "uWebSockets",
    story: "of two lengths the first was believed",
  },
];

/** Cases without a published fault, by the chapter on input of the research. */
export const INPUT_CASES: Readonly<Record<number, string>> = {
  1: "clients that are slow on purpose",
  2: "heads that are too large, or have too many lines",
  3: "framings that can be read in two ways",
  4: "bytes behind a request that are none",
  5: "expectations of 100 Continue",
  6: "bodies that are not as long as they say",
  7: "XML as a weapon",
  8: "JSON as a weapon",
  9: "keys that look like paths",
  10: "keys that are hardly text",
  11: "each part of a signed request changed",
  13: "each part of a streamed body changed",
  14: "each part of a presigned link changed",
  15: "forms",
  17: "guessing",
  19: "line breaks in headers",
  21: "forged addresses",
  22: "secrets where they do not belong",
  23: "errors that say too much",
  24: "ranges without end",
  25: "lists without end",
  26: "parts without end",
  27: "doors that stand open",
  28: "names of JavaScript's own",
  29: "patterns that take for ever",
};
