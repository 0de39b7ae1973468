import { S3Error } from "../errors.ts";

/** Told when a write has to be judged at a home that cannot be asked now. */
export function homeUnavailable(cause?: unknown): S3Error {
  return new S3Error("ServiceUnavailable", {
    message: "This bucket's home site judges its conditional writes, and is out of reach.",
    headers: [["Retry-After", "5"]],
    ...(cause === undefined ? {} : { cause }),
  });
}
