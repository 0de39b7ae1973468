import type { S3Error } from "../errors.ts";
import { XmlWriter } from "./writer.ts";

/** What every error document says besides the error itself. */
export type ErrorPlace = {
  /** The path of the request as it came. */
  readonly resource: string;
  readonly requestId: string;
  /** Value of x-amz-id-2. */
  readonly hostId: string;
};

/**
 * The body of an error, without namespace as S3 has it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses
 */
export function renderError(error: S3Error, place: ErrorPlace): string {
  const xml = new XmlWriter("Error", { bare: true });
  xml.text("Code", error.code);
  xml.text("Message", error.message);
  for (const [name, value] of Object.entries(error.fields)) xml.text(name, value);
  xml.text("Resource", place.resource);
  xml.text("RequestId", place.requestId);
  xml.text("HostId", place.hostId);
  return xml.finish();
}
