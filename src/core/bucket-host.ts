/** The name in a `Host` header, without port, in lower case; an address keeps its brackets. */
export function hostNameOf(header: string): string {
  const end = header.startsWith("[") ? header.indexOf("]") + 1 : header.indexOf(":");
  return (end > 0 ? header.slice(0, end) : header).toLowerCase();
}

/**
 * What stands in front of a domain: the name of a bucket. Undefined for a host that is addressed by
 * path. A domain may lie below another one, and the longest that fits is meant.
 */
export function bucketInFront(host: string, domains: readonly string[]): string | undefined {
  let bucket: string | undefined;
  for (const domain of domains) {
    if (host === domain) return undefined;
    if (host.length <= domain.length + 1 || !host.endsWith(`.${domain}`)) continue;
    const label = host.slice(0, -domain.length - 1);
    if (bucket === undefined || label.length < bucket.length) bucket = label;
  }
  return bucket;
}
