/** A share or a number of rows, as a person writes it; null when it is neither. */
export function parseHeldOut(text: string): number | null {
  const value = text.trim().endsWith('%') ? parseFloat(text) / 100 : Number(text);
  const whole = Number.isInteger(value) && value >= 1;
  return text.trim() !== '' && (whole || (value > 0 && value < 1)) ? value : null;
}

/** A seed, as a person writes it; null when it is none. */
export function parseSeed(text: string): number | null {
  const value = Number(text);
  return /^\d+$/.test(text.trim()) && value < 2 ** 32 ? value : null;
}
