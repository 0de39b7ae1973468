/**
 * For `promise.catch(ignore)`, where somebody else hears of the failure, or nobody needs to: the
 * place that ignores it says which. A promise that nobody handles would end the process.
 */
export function ignore(): void {
  // The outcome is somebody else's.
}
