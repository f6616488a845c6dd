/** How files and predictions travel: base64 of a zlib stream. */

async function pump(bytes: BlobPart, stream: GenericTransformStream): Promise<Uint8Array> {
  const through = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(through).arrayBuffer());
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), char => char.charCodeAt(0));
}

/** Pack a file's bytes, or its text as UTF-8. */
export async function pack(content: BlobPart): Promise<string> {
  return toBase64(await pump(content, new CompressionStream('deflate')));
}

/** Unpack bytes that `pack` or the server packed. */
export async function unpack(packed: string): Promise<Uint8Array> {
  return pump(fromBase64(packed) as BlobPart, new DecompressionStream('deflate'));
}

/** Predictions: numbers in C order, and their shape. */
export interface IPredictions {
  values: Float64Array;
  shape: readonly number[];
}

/** Unpack predictions; without a shape, which servers of old did not send, they are one column. */
export async function unpackPredictions(
  packed: string,
  shape: readonly number[] | null
): Promise<IPredictions> {
  const bytes = await unpack(packed);
  const values = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return { values, shape: shape ?? [values.length] };
}
