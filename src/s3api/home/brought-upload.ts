import type { BroughtUpload } from "../../core/forwarded-request.ts";
import type { BringManifests } from "../../storage/replica.ts";
import type { Store } from "../../storage/store.ts";

/**
 * The store as it looks to who completes an upload that another site has: with that upload in it.
 * Nothing of it is written before it is completed.
 */
export function storeWith(store: Store, brought: BroughtUpload, bring: BringManifests): Store {
  const { upload, parts } = brought;
  const { uploadId } = upload;
  return {
    ...store,
    upload: (bucket, key, id) => {
      const isIt = id === uploadId && bucket === upload.bucket && key === upload.key;
      return isIt ? upload : store.upload(bucket, key, id);
    },
    parts: (id, after) =>
      id === uploadId
        ? parts.filter(({ partNumber }) => partNumber > after)
        : store.parts(id, after),
    completeUpload: (request) => {
      const { bucket, key } = request;
      const isIt = request.uploadId === uploadId && bucket === upload.bucket && key === upload.key;
      return store.completeUpload(isIt ? { ...request, brought: { ...brought, bring } } : request);
    },
  };
}
