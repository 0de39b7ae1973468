import type { OperationRow } from "../../src/s3api/operation.ts";
import { OPERATIONS } from "../../src/s3api/operations.ts";

const HEAD = `# What Atoll answers of S3

Generated from \`OPERATIONS\` in \`src/s3api/operations.ts\` by
\`WRITE_DOCS=1 npx vitest run --project unit test/docs-s3.test.ts\`; do not edit by hand.

AWS's documentation decides names, order of checks, status, error codes, headers and XML. This page
says what is there, what is refused by name, and where Atoll differs.
`;

const DIFFERENCES = `## Where Atoll differs from AWS, or AWS has no answer

- **Query parameters.** One that an operation does not know is refused with \`NotImplemented\`, and one
  that comes twice with \`InvalidArgument\`; AWS ignores some of them. \`x-id\` is always welcome;
  \`metadata\` and \`withUpdatedAt\`, by which MinIO's clients ask listings and lifecycles for more,
  get nothing more here, as at AWS.
- **Headers.** One that demands what Atoll does not do is refused with \`NotImplemented\` and its name:
  \`x-amz-grant-*\`, \`x-amz-mfa\`, \`x-amz-object-lock-event-hold*\`, \`x-amz-if-match-initiated-time\` and
  \`x-amz-bucket-namespace: account-regional\`; \`x-amz-write-offset-bytes\` elsewhere than in PutObject.
  So is \`Content-Range\` in PutObject: what calls itself a part would replace the whole object.
- **Appends.** PutObject with \`x-amz-write-offset-bytes\` works in every bucket; where there are
  versions, it makes one. Bytes that lie in chunks are not written again. The ETag is that of a
  multipart upload with one part more at each append, up to 10,000; a copy keeps it, and with it the
  count. New bytes are encrypted as the object is; an append that asks for anything else is
  \`InvalidRequest\`, and so is one with another checksum than the object's. CRCs of the whole grow with
  it; an object with a SHA or a composite checksum has none behind its first append.
- **RenameObject** works in every bucket. \`x-amz-rename-source\` is \`/bucket/key\` or \`/key\`; what
  begins with the name of the bucket is the former. It needs \`s3:PutObject\` on the new key,
  \`s3:GetObject\` and \`s3:DeleteObject\` on the old one. Of the conditions on the destination, those
  on times are \`NotImplemented\`. A client token is remembered until the server restarts, not beyond.
  The new name begins with the bucket's default retention, unless the object brings one that lasts.
- **Encryption.** Nothing is encrypted unless a request or the bucket asks for it, where AWS encrypts
  everything: GetBucketEncryption of a bucket without the setting is
  \`ServerSideEncryptionConfigurationNotFoundError\`. SSE-KMS and DSSE-KMS are \`NotImplemented\`. Keys of
  clients (SSE-C) are taken without TLS too, since many run it in front of Atoll, and are not blocked
  by default; \`BlockedEncryptionTypes\` blocks them. A wrong key is \`AccessDenied\`, a missing one
  \`InvalidRequest\`. An upload may be completed without its key. GET, HEAD and parts refuse
  \`x-amz-server-side-encryption\`; Complete hears it where it is true, for minio-go says it there to
  all but AWS. A copy that changes encryption becomes one part, with a new ETag.
- **Signature version 2** is refused by name. boto3 and awscli 1 still presign with it for endpoints
  in \`us-east-1\`: set \`signature_version\` to \`s3v4\`.
- **Who is who.** One account, \`000000000000\`, owns everything. In policies an access key is the user
  \`arn:aws:iam:::user/NAME\` (or with the account's number), by its id or by the name it was given; the
  root key is \`arn:aws:iam::000000000000:root\`. Users need not exist when a policy names them, and
  whoever belongs to another account of AWS is nobody here; roles of this one, \`CanonicalUser\` and
  \`Federated\` are \`Invalid principal in policy\`. A key with the grant \`own\` is kept to the buckets it
  has made (\`atoll:BucketCreator\`), and hears which do not exist. Requests without a signature are
  judged by the policies and ACLs of the bucket; where nobody let them in they get \`AccessDenied\`,
  also for a bucket that does not exist, where AWS says \`NoSuchBucket\`.
- **Policies.** A bucket's policy can deny the root key anything but the three operations on policies.
  What cannot be judged (a variable without a value, an address that is none, more than 8,192
  characters) denies and never allows. \`s3:LocationConstraint\` is what a CreateBucket says, and has no
  value where it says nothing, also when it comes in the region that is meant.
  GetBucketPolicyStatus says whether the policy or the ACL makes a bucket public; where there is no
  policy AWS says \`NoSuchBucketPolicy\`.
- **ACLs.** The canned ones, as headers or documents with the same grants; other grants, a document
  without any, and \`x-amz-grant-*\` are \`NotImplemented\`. A bucket takes them until its ownership
  controls say \`BucketOwnerEnforced\`; without the setting it has none
  (\`OwnershipControlsNotFoundError\`), and public access is not blocked, where AWS turns both on for
  new buckets. Nothing is public unless somebody says so who may put policies or ACLs.
- **An empty \`Authorization\` header** is none: such a request has no signature.
- **Presigned URLs.** \`x-amz-\` headers that a presigner moved into the query count as headers, but for
  checksums: the presigner had no body to sum up.
- **Targets.** Bytes beyond ASCII must be percent-encoded. A plus sign in a query and in
  \`x-amz-copy-source\` is a space, as AWS reads both; in a path it is itself. A key with a NUL byte
  is refused with \`InvalidURI\`.
- **Metadata.** User metadata is kept byte for byte as UTF-8; values beyond printable ASCII come back
  as one RFC 2047 word (\`=?UTF-8?B?…?=\`), and encoded words come back as they were sent.
  With \`uws\` a header loses what its value begins or ends with beyond ASCII: a signed one is
  \`SignatureDoesNotMatch\`, as metadata always is; \`--engine node\` takes it whole.
- **Storage classes.** \`STANDARD\` and the classes that promise immediate reading are kept as labels;
  \`GLACIER\`, \`DEEP_ARCHIVE\`, \`OUTPOSTS\`, \`SNOW\` and \`EXPRESS_ONEZONE\` are \`NotImplemented\`.
- **Versions.** Ids are 32 hexadecimal digits that sort by time; any other text is \`InvalidArgument\`,
  and in \`DeleteObjects\` it is \`NoSuchVersion\` for its key. As AWS answers, a write names no version
  while versioning is suspended. MFA delete cannot be enabled, so that \`MfaDelete\` is not shown.
- **Lifecycle.** Rules that move objects to another storage class are refused with \`NotImplemented\`:
  there is one kind of storage, and a rule that is kept must be followed. A rule without an id gets
  one made from its text. What falls due is carried out within a minute after midnight UTC, after a
  start, and when rules change; \`x-amz-expiration\` comes with requests that name no version.
- **Object lock.** A legal hold that is off is not shown in headers. Asking for the retention of a
  version that has none is \`NoSuchObjectLockConfiguration\`. A write under retention needs Content-MD5
  or a checksum, as AWS documents it, also where the bucket's default is what asks for it. An object
  made of parts is as old as its completion, where AWS counts from the beginning of the upload, and
  so is the bucket's default retention counted.
- **Copies** share the bytes of their source. A copy of a multipart object keeps its ETag and parts,
  where AWS writes one part with a new ETag. A condition on the source of a copy or a rename that
  cannot be read is \`InvalidArgument\`, where AWS copies as if it had not been there.
- **Creating one's own bucket again** succeeds in \`us-east-1\` and is \`BucketAlreadyOwnedByYou\` in other
  regions, as at AWS, and wherever it asks for a lock, tags, ownership or an ACL that the bucket has
  not. Without a location constraint a bucket is made in the site's region, always; a constraint
  that names that region is right everywhere, \`us-east-1\` included. Every other one is
  \`IllegalLocationConstraintException\`, whether AWS has such a region or not.
- **Listings.** With a delimiter, a marker inside a common prefix has passed that prefix. Continuation
  tokens are checked, and one that Atoll did not give is \`InvalidArgument\`.
- **HTTP pipelining** (a request sent before the one ahead of it is answered) ends the connection with
  \`uws\`; nothing of the second request is done. \`--engine node\` answers in order.
- **Expect: 100-continue** is answered by the HTTP engine itself, before the signature is checked.
  Any other expectation is ignored by \`uws\` and refused with 417 by \`--engine node\`.
- **Forms** (POST) are signed by signature version 4 in their fields or by nobody; version 2 is refused.
  A policy binds an unsigned form as well. A signature holds for seven days at most. A field that
  comes twice is refused, and so is a field \`x-amz-*\` that no form can ask for. \`Location\` names the
  object as the form's host reaches it. What is no form is \`RequestIsNotMultiPartContent\` (412).
- **Preflight.** \`OPTIONS\` needs no signature and takes any query. A bucket with CORS rules answers
  every request that has an \`Origin\` with \`Vary\`, also where no rule fits.
- **Websites** are below the setting \`websiteDomain\` and nowhere else: \`GET\` and \`HEAD\`, as nobody, so
  that a bucket's policy must show the objects to everybody, and preflights, by the bucket's CORS
  rules. A query says nothing there. Redirects by rules encode the key; what the owner wrote in a
  rule stays as it is.
- **Checksums of parts.** A part that comes without one gets the one its upload asked for. Completing
  a composite upload must list the checksum of each part, as at AWS. Of AWS's algorithms MD5 (but for
  \`Content-MD5\`), SHA512 and the XXHASHes are not there, and are refused with \`InvalidRequest\`.
- **QuotaExceeded** (403) is Atoll's own: the bucket, or all buckets of the key that made it,
  would hold more bytes, or more objects and versions, than the operator allows (\`atoll quota\`). It is
  never exceeded by a byte; parts count when their upload is completed, and are held to the quota one
  by one before.
- **InsufficientCapacity** (507) is Atoll's own: the disk has reached its reserve.
`;

/** docs/S3.md as it should be. */
export function renderS3Doc(): string {
  const rows = Object.entries<OperationRow>(OPERATIONS).sort(([a], [b]) => (a < b ? -1 : 1));
  const done = rows.filter(([, row]) => !("notImplemented" in row));
  const rest = rows.filter(([, row]) => "notImplemented" in row);
  return [
    HEAD,
    `## Implemented (${done.length})\n`,
    "| operation | request | action | remarks |\n| --- | --- | --- | --- |",
    ...done.map(([name, row]) => lineOf(name, row, row.note ?? "")),
    `\n## Answered \`NotImplemented\` by name (${rest.length})\n`,
    "| operation | request | action | why |\n| --- | --- | --- | --- |",
    ...rest.map(([name, row]) =>
      lineOf(name, row, "notImplemented" in row ? row.notImplemented : ""),
    ),
    `\n${DIFFERENCES}`,
  ].join("\n");
}

const PATHS = { service: "/", bucket: "/BUCKET", object: "/BUCKET/KEY" } as const;

function lineOf(name: string, row: OperationRow, remarks: string): string {
  const query = Object.entries(row.query ?? {}).map(([key, value]) =>
    value === "" ? key : `${key}=${value}`,
  );
  const target = PATHS[row.level] + (query.length === 0 ? "" : `?${query.join("&")}`);
  const header = row.header === undefined ? "" : ` with \`${row.header}\``;
  const action =
    row.versionAction === undefined
      ? `\`${row.action}\``
      : `\`${row.action}\`, with a version \`${row.versionAction}\``;
  return `| ${name} | \`${row.method} ${target}\`${header} | ${action} | ${remarks} |`;
}
