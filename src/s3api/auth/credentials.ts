import type { AccessKeyId } from "../../core/names.ts";
import type { PolicyDocument } from "../policy/document.ts";

/**
 * Who may sign, with what it takes to check it. The root key of the site may do everything; a
 * user's key may do what its policies allow.
 */
export type Credential = {
  readonly id: AccessKeyId;
  /** Never logged, never shown. */
  readonly secret: string;
  readonly kind: "root" | "user";
  readonly name: string;
  readonly policies: readonly PolicyDocument[];
};
