import { bucketInFront, hostNameOf } from "../core/bucket-host.ts";
import {
  type BucketName,
  type ObjectKey,
  objectKeyProblem,
  parseBucketName,
  parseObjectKey,
} from "../core/names.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import { S3Error } from "./errors.ts";
import type { Level, OperationRow } from "./operation.ts";
import { OPERATIONS, type OperationName } from "./operations.ts";
import { decodePercent, type Query, splitTarget } from "./target.ts";

/** Where a request is addressed, before anybody asks whether that exists. */
export type Route = {
  readonly level: Level;
  /** The bucket as the client wrote it. */
  readonly bucketText: string | undefined;
  /** Undefined when no bucket can have that name. */
  readonly bucket: BucketName | undefined;
  readonly key: ObjectKey | undefined;
  readonly query: Query;
  /** Undefined when the method means nothing here. */
  readonly operation: OperationName | undefined;
};

type Request = {
  readonly method: string;
  readonly target: string;
  readonly headers: RequestHeaders;
};

/**
 * Turns a request line into an operation, a bucket and a key: path style, or virtual-host style
 * under one of the domains. Pure; throws for targets that address nothing.
 */
export function routeRequest(request: Request, domains: readonly string[]): Route {
  const { path, query } = splitTarget(request.target);
  const hostBucket = domains.length === 0 ? undefined : bucketOfHost(request, domains);
  const bucketEnd = hostBucket === undefined ? slashAfterBucket(path) : 0;
  const bucketText = hostBucket ?? decodeOrRefuse(path.slice(1, bucketEnd));
  if (bucketText === "") {
    // "//x" names an object in a bucket without a name.
    if (path.length > 1) throw new S3Error("InvalidBucketName", { fields: { BucketName: "" } });
    const operation = findOperation("service", request, query);
    return {
      level: "service",
      bucketText: undefined,
      bucket: undefined,
      key: undefined,
      query,
      operation,
    };
  }
  const bucket = parseBucketName(bucketText);
  const keyText = decodeOrRefuse(path.slice(bucketEnd + 1));
  if (keyText === "") {
    const operation = findOperation("bucket", request, query);
    return { level: "bucket", bucketText, bucket, key: undefined, query, operation };
  }
  const key = keyOrRefuse(keyText);
  const operation = findOperation("object", request, query);
  return { level: "object", bucketText, bucket, key, query, operation };
}

function slashAfterBucket(path: string): number {
  const at = path.indexOf("/", 1);
  return at < 0 ? path.length : at;
}

function decodeOrRefuse(raw: string): string {
  const text = decodePercent(raw);
  if (text === undefined) throw new S3Error("InvalidURI");
  return text;
}

function keyOrRefuse(text: string): ObjectKey {
  const key = parseObjectKey(text);
  if (key !== undefined) return key;
  if (objectKeyProblem(text) === "too-long") {
    throw new S3Error("KeyTooLongError", {
      fields: { Size: String(Buffer.byteLength(text)), MaxSizeAllowed: "1024" },
    });
  }
  throw new S3Error("InvalidURI");
}

function bucketOfHost({ headers }: Request, domains: readonly string[]): string | undefined {
  return bucketInFront(hostNameOf(headers.get("host") ?? ""), domains);
}

type Candidate = {
  readonly name: OperationName;
  readonly query: ReadonlyArray<readonly [string, string]>;
  readonly header: string | undefined;
};

/** Candidates by level and method, the most demanding first. */
const CANDIDATES = indexCandidates();

function indexCandidates(): ReadonlyMap<string, readonly Candidate[]> {
  const index = new Map<string, Candidate[]>();
  for (const name of Object.keys(OPERATIONS)) {
    if (!isOperationName(name)) continue;
    const row: OperationRow = OPERATIONS[name];
    const place = `${row.level} ${row.method}`;
    const candidates = index.get(place) ?? [];
    candidates.push({ name, query: Object.entries(row.query ?? {}), header: row.header });
    index.set(place, candidates);
  }
  for (const candidates of index.values()) {
    candidates.sort((left, right) => demands(right) - demands(left));
  }
  return index;
}

function isOperationName(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name);
}

function demands(candidate: Candidate): number {
  return candidate.query.length * 2 + (candidate.header === undefined ? 0 : 1);
}

/** The operation of a request: a header that chooses it may be one that a presigner has moved. */
export function findOperation(
  level: Level,
  request: Pick<Request, "method" | "headers">,
  query: Query,
): OperationName | undefined {
  const candidates = CANDIDATES.get(`${level} ${request.method}`);
  if (candidates === undefined) return undefined;
  for (const candidate of candidates) {
    if (isMet(candidate, request.headers, query)) return candidate.name;
  }
  return undefined;
}

function isMet(candidate: Candidate, headers: RequestHeaders, query: Query): boolean {
  for (const [name, value] of candidate.query) {
    const given = query.get(name);
    if (given === undefined || (value !== "" && given !== value)) return false;
  }
  return candidate.header === undefined || headers.get(candidate.header) !== undefined;
}

/** Parameters of S3 that mean something elsewhere, with what AWS says of them here. */
const MISPLACED: ReadonlyMap<string, string> = new Map([
  ["partNumber", "This operation does not accept a part number without an upload id."],
  ["uploadId", "This operation does not accept an upload id."],
  ["versionId", "This operation does not accept a version-id."],
]);

/**
 * A query parameter the operation does not know is refused by name: a subresource of tomorrow must
 * not be taken for a plain GET or PUT.
 */
export function refuseUnknownParameters(operation: OperationName, query: Query): void {
  if (query.entries.length === 0) return;
  const row: OperationRow = OPERATIONS[operation];
  for (const [name] of query.entries) {
    if (row.query !== undefined && Object.hasOwn(row.query, name)) continue;
    if (row.params?.includes(name) === true || isForEverybody(name)) continue;
    if (name === "uploadId" && !UPLOAD_METHODS.includes(row.method)) {
      throw uploadMethodNotAllowed(row.method);
    }
    const reason = MISPLACED.get(name);
    if (reason !== undefined) {
      const fields = { ArgumentName: name, ArgumentValue: query.get(name) ?? "" };
      throw new S3Error("InvalidArgument", { message: reason, fields });
    }
    throw new S3Error("NotImplemented", {
      message: `The query parameter "${name}" is not implemented for ${operation}.`,
      fields: { Parameter: name },
    });
  }
}

/** What can be done with an upload as such; AWS calls it a resource of its own. */
const UPLOAD_METHODS: readonly string[] = ["DELETE", "POST", "GET"];

function uploadMethodNotAllowed(method: string): S3Error {
  return new S3Error("MethodNotAllowed", {
    fields: { Method: method, ResourceType: "UPLOAD" },
    headers: [["Allow", UPLOAD_METHODS.join(", ")]],
  });
}

/** `x-id` is how SDKs name the operation to people; `x-amz-` belongs to signature and headers. */
function isForEverybody(name: string): boolean {
  return name === "x-id" || name.slice(0, 6).toLowerCase() === "x-amz-";
}
