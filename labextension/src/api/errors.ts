/** What kind of trouble an answer is, so that each is met in its own way. */
export type Trouble =
  /** The server cannot be reached. */
  | 'offline'
  /** The Jupyter server answers, but datarun's extension is not on it. */
  | 'missing'
  /** Who asks may not. */
  | 'forbidden'
  /** The thing is gone, or is somebody else's. */
  | 'notfound'
  /** A field of the request is wrong. */
  | 'invalid'
  /** Not in the state that things are in. */
  | 'conflict'
  /** The server has a problem of its own. */
  | 'server';

/** A request that did not succeed: what happened, in the server's words where it has any. */
export class ApiError extends Error {
  constructor(
    readonly trouble: Trouble,
    message: string,
    readonly status: number = 0,
    readonly fields: Readonly<Record<string, string>> = {},
    /** The whole answer, where it was an object. */
    readonly said: Readonly<Record<string, unknown>> = {}
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Whether the same request may succeed later, without anybody changing it. */
  get transient(): boolean {
    return this.trouble === 'offline' || this.status >= 500 || this.status === 429;
  }
}

function troubleOf(status: number): Trouble {
  if (status === 401 || status === 403) {
    return 'forbidden';
  }
  if (status === 404) {
    return 'notfound';
  }
  if (status === 409) {
    return 'conflict';
  }
  return status < 500 ? 'invalid' : 'server';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Read an answer that is no success: `{"detail"}`, `{"field": ["sentence"]}`, or no JSON at all. */
export async function errorOf(response: Response): Promise<ApiError> {
  const { status } = response;
  const text = await response.text().catch(() => '');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (!isRecord(body)) {
    // datarun answers in JSON even when it finds nothing; a page is Jupyter's own.
    const trouble = status === 404 ? 'missing' : troubleOf(status);
    return new ApiError(trouble, response.statusText || `HTTP ${status}`, status);
  }
  for (const key of ['detail', 'error']) {
    const said = body[key];
    if (typeof said === 'string') {
      return new ApiError(troubleOf(status), said, status, {}, body);
    }
  }
  const fields: Record<string, string> = {};
  for (const [field, said] of Object.entries(body)) {
    if (Array.isArray(said)) {
      fields[field] = said.join(' ');
    }
  }
  const sentences = Object.entries(fields).map(([field, said]) => `${field}: ${said}`);
  if (sentences.length > 0) {
    return new ApiError(troubleOf(status), sentences.join(' '), status, fields, body);
  }
  const message = typeof body.message === 'string' ? body.message : response.statusText;
  const trouble = status === 404 ? 'missing' : troubleOf(status);
  return new ApiError(trouble, message || `HTTP ${status}`, status);
}

/** Return any thrown thing as an `ApiError`. */
export function asApiError(reason: unknown): ApiError {
  if (reason instanceof ApiError) {
    return reason;
  }
  const message = reason instanceof Error ? reason.message : String(reason);
  return new ApiError('server', message);
}
