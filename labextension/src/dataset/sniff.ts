/** A first look at a CSV file in the browser, so that the form can fill itself in. */

/** What the beginning of a file tells. */
export interface ISniffed {
  columns: readonly string[];
  rows: readonly (readonly string[])[];
}

const LOOKED_AT = 64 * 1024;

/** Split CSV text into rows of cells; a last row that may be cut off is left out. */
export function parseCsv(text: string, whole: boolean): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const endRow = () => {
    row.push(cell);
    if (row.length > 1 || row[0] !== '') {
      rows.push(row);
    }
    row = [];
    cell = '';
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted) {
      if (char !== '"') {
        cell += char;
      } else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else {
        quoted = false;
      }
    } else if (char === '"' && cell === '') {
      quoted = true;
    } else if (char === ',') {
      row.push(cell);
      cell = '';
    } else if (char === '\n') {
      endRow();
    } else if (char !== '\r') {
      cell += char;
    }
  }
  if (whole && (cell !== '' || row.length > 0)) {
    endRow();
  }
  return rows;
}

/** Look at the beginning of a file. */
export async function sniff(file: Blob): Promise<ISniffed> {
  const text = await file.slice(0, LOOKED_AT).text();
  const [columns = [], ...rows] = parseCsv(text.replace(/^\uFEFF/, ''), file.size <= LOOKED_AT);
  return { columns, rows };
}

/** Guess the target: a column whose name says so, else the last one. */
export function guessTarget(columns: readonly string[]): string {
  const named = columns.find(name => /^(target|label|class|species|y)$/i.test(name.trim()));
  return named ?? columns.at(-1) ?? '';
}

/** Whether a target asks for a regressor: many different values, all numbers. */
export function isRegression({ columns, rows }: ISniffed, target: string): boolean {
  const place = columns.indexOf(target);
  const values = rows.map(row => row[place] ?? '').filter(value => value.trim() !== '');
  const different = new Set(values).size;
  const numbers = values.every(value => Number.isFinite(Number(value)));
  return place >= 0 && values.length > 0 && numbers && different > Math.min(20, values.length / 2);
}

/** A dataset's name from a file's name, as long as the server allows. */
export function nameOf(file: string): string {
  return file.replace(/\.[^.]*$/, '').slice(0, 40);
}
