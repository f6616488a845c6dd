/** Numbers as a person reads them. */

/** A duration in seconds: `0.42 s`, `3 s` if it is that, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return '';
  }
  if (seconds < 10 && !Number.isInteger(seconds)) {
    return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  }
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** A size in bytes: `512 B`, `1.2 MB`. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A score with three digits that matter, so that scores in a column line up. */
export function score(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return '';
  }
  return Math.abs(value) < 1000 ? value.toPrecision(3) : count(Math.round(value));
}

/** The spread of a score, with as many decimals as its mean unless it is smaller than they show. */
export function spread(std: number, mean: number): string {
  const decimals = (score(mean).split('.')[1] ?? '').length;
  const text = std.toFixed(decimals);
  return Number(text) === 0 && std > 0 ? std.toPrecision(1) : text;
}

/** A moment, as the person's own language writes it; the date only when it is not today. */
export function moment(seconds: number | null | undefined): string {
  if (!seconds) {
    return '';
  }
  const then = new Date(seconds * 1000);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString();
}

/** A whole number with separators. */
export function count(value: number): string {
  return value.toLocaleString();
}

/** Lines without the indentation that all of them have: the panel may be narrow. */
export function dedented(lines: readonly string[]): string[] {
  const margins = lines
    .filter(line => line.trim() !== '')
    .map(line => line.length - line.trimStart().length);
  const margin = margins.length > 0 ? Math.min(...margins) : 0;
  return lines.map(line => line.slice(margin));
}
