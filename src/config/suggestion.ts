/** "Did you mean": the known name nearest to one that is not known. */

/** Levenshtein's distance: how many letters have to be put in, left out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, changed));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The nearest of the names if it is near enough to be meant (a third of its letters at most), else null. */
export function suggestion(given: string, names: readonly string[]): string | null {
  let best: { readonly name: string; readonly far: number } | null = null;
  for (const name of names) {
    const far = distance(given.toLowerCase(), name.toLowerCase());
    if (far <= name.length / 3 && (best === null || far < best.far)) best = { name, far };
  }
  return best?.name ?? null;
}
