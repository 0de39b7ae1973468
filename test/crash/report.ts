/** The line of figures that a suite leaves for whoever reads its output. */
export function report(
  suite: string,
  figures: Readonly<Record<string, number | readonly number[]>>,
): void {
  const shown = Object.entries(figures).map(([name, figure]) =>
    typeof figure === "number" ? `${name} ${figure}` : `${name} ${summary(figure)}`,
  );
  process.stdout.write(`${suite}: ${shown.join(", ")}\n`);
}

function summary(values: readonly number[]): string {
  const sorted = [...values].sort((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return `${sorted.length} times, median ${Math.round(median)}, max ${Math.round(sorted.at(-1) ?? 0)}`;
}
