// Rows of a table with names that a failure can be read by.

/** `{ C: 3, options: { activation: 'softmax' } }` is "C 3, activation softmax". */
export function nameOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(nameOf).join(', ')}]`;
  if (typeof value === 'function') return value.name;
  if (typeof value !== 'object' || value === null) return String(value);
  const parts = Object.entries(value).map(([key, part]) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? nameOf(part)
      : `${key} ${nameOf(part)}`,
  );
  return parts.filter((part) => part !== '').join(', ') || 'defaults';
}

/** For `test.each(named(rows))('%s', (_, row) => ...)`. */
export const named = <Row>(rows: readonly Row[]): [string, Row][] =>
  rows.map((row) => [nameOf(row), row]);
