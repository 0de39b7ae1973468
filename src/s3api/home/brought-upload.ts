import type { BroughtUpload } from "../../core/forwarded-request.ts";
import type { BringManifests } from "../../storage/replica.ts";
import type { Store } from "../../storage/store.ts";

/**
 * The store with an upload in it that another site has, for the request that completes it. Nothing
 * of the upload is written before it is completed.
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
