import { HmacKey } from "../../core/hmac.ts";
import type { AccessKeyId } from "../../core/names.ts";

/** One credential as it appears in requests, taken apart and ready to check signatures. */
export type SigningKey = {
  readonly id: AccessKeyId;
  /** "20251121" */
  readonly date: string;
  /** "20251121/us-east-1/s3/aws4_request" */
  readonly scope: string;
  /** What the key was derived from: a changed secret must not find the old key. */
  readonly secret: string;
  readonly key: HmacKey;
};

const ENTRIES_MAX = 1024;

/**
 * Remembers derived keys by the credential text of requests ("AKID/date/region/service/…"): taking
 * the text apart and deriving its key costs more than checking a signature. Only credentials that
 * exist here, with our region and service, come in, so strangers cannot fill it.
 */
export class SigningKeys {
  readonly #entries = new Map<string, SigningKey>();

  get(credentialText: string): SigningKey | undefined {
    return this.#entries.get(credentialText);
  }

  put(credentialText: string, entry: SigningKey): void {
    if (this.#entries.size >= ENTRIES_MAX && !this.#entries.has(credentialText)) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(credentialText, entry);
  }

  get size(): number {
    return this.#entries.size;
  }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
export function deriveSigningKey(parts: {
  readonly secret: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
}): HmacKey {
  const dateKey = new HmacKey(`AWS4${parts.secret}`).bytes(parts.date);
  const regionKey = new HmacKey(dateKey).bytes(parts.region);
  const serviceKey = new HmacKey(regionKey).bytes(parts.service);
  return new HmacKey(new HmacKey(serviceKey).bytes("aws4_request"));
}
