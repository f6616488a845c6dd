import type { IPredictions } from '../api/codec';

/** Files that predictions are downloaded as. */

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) {
    c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return c >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Little-endian numbers of 2 or 4 bytes: `[width, value]`. */
function fields(...values: readonly (readonly [2 | 4, number])[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of values) {
    if (width === 2) {
      view.setUint16(at, value, true);
    } else {
      view.setUint32(at, value, true);
    }
    at += width;
  }
  return bytes;
}

/** One array in NumPy's own format. */
export function npy({ values, shape }: IPredictions): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': ${tuple}, }`;
  const padding = 64 - ((10 + text.length + 1) % 64);
  const header = new TextEncoder().encode(`${text}${' '.repeat(padding % 64)}\n`);
  const magic = Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return join([magic, fields([2, header.length]), header, bytes]);
}

/** Several arrays as `numpy.load` reads them: a zip archive, not compressed. */
export function npz(arrays: Readonly<Record<string, IPredictions>>): Uint8Array {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const data = npy(array);
    const file = new TextEncoder().encode(`${name}.npy`);
    const common = fields(
      [2, 20],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, 0x21],
      [4, crc32(data)],
      [4, data.length],
      [4, data.length],
      [2, file.length],
      [2, 0]
    );
    const entry = join([fields([4, 0x04034b50]), common, file, data]);
    local.push(entry);
    const place = fields([2, 0], [2, 0], [2, 0], [4, 0], [4, offset]);
    central.push(join([fields([4, 0x02014b50], [2, 20]), common, place, file]));
    offset += entry.length;
  }
  const directory = join(central);
  const count = central.length;
  const end = fields(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, count],
    [2, count],
    [4, directory.length],
    [4, offset],
    [2, 0]
  );
  return join([...local, directory, end]);
}

function quote(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function columnsOf({ shape }: IPredictions, classes: readonly string[]): readonly string[] {
  const width = shape.slice(1).reduce((product, length) => product * length, 1);
  if (width === 1) {
    return ['prediction'];
  }
  return classes.length === width
    ? classes
    : Array.from({ length: width }, (_, column) => `column_${column}`);
}

/** Predictions as CSV: one line for each row of the training set, then of the test set. */
export function csv(
  arrays: Readonly<Record<string, IPredictions>>,
  classes: readonly string[]
): string {
  const lines: string[] = [];
  for (const [name, array] of Object.entries(arrays)) {
    if (lines.length === 0) {
      lines.push(['set', 'row', ...columnsOf(array, classes)].map(quote).join(','));
    }
    const rows = array.shape[0] ?? 0;
    const width = rows > 0 ? array.values.length / rows : 0;
    for (let row = 0; row < rows; row++) {
      const values = array.values.subarray(row * width, (row + 1) * width);
      lines.push([name, row, ...values].join(','));
    }
  }
  return `${lines.join('\n')}\n`;
}
