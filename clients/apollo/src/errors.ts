/** The codes of docs/errors.md, and those that arise in the client. New ones may come. */
export type ErrorCode =
	| 'UNAUTHENTICATED'
	| 'INVALID_CREDENTIALS'
	| 'FORBIDDEN'
	| 'REAUTHENTICATION_REQUIRED'
	| 'BAD_USER_INPUT'
	| 'NOT_FOUND'
	| 'CONFLICT'
	| 'RATE_LIMITED'
	| 'UNAVAILABLE'
	| 'INTERNAL_SERVER_ERROR'
	| 'NETWORK_ERROR'
	| 'LOGGED_OUT'
	| 'COOKIES_OFF'
	| (string & {});

/** An error as it stands in a GraphQL response. */
export interface ResponseError {
	readonly message: string;
	readonly path?: ReadonlyArray<string | number>;
	readonly extensions?: Readonly<Record<string, unknown>>;
}

/** An error of the server, or of the way to it (`NETWORK_ERROR`), with what its code comes with. */
export class LatchkeyError extends Error {
	declare readonly name: 'LatchkeyError';
	declare readonly code: ErrorCode;
	/** Why the caller is unauthenticated, such as `REFRESH_REUSED`. */
	declare readonly reason?: string;
	/** The argument or input field that `BAD_USER_INPUT` or `CONFLICT` is about. */
	declare readonly field?: string;
	/** In seconds, with `RATE_LIMITED`. */
	declare readonly retryAfter?: number;
	/** With `FORBIDDEN`: `[["a", "b"], ["c"]]` means (a and b) or c. */
	declare readonly requiredScopes?: string[][];
	/** In seconds, with `REAUTHENTICATION_REQUIRED`. */
	declare readonly maxAge?: number;
	/** The field of the operation that was refused. */
	declare readonly path?: ReadonlyArray<string | number>;

	constructor(error: ResponseError, options?: ErrorOptions) {
		super(error.message, options);
		Object.assign(this, { code: 'INTERNAL_SERVER_ERROR' }, error.extensions, { name: 'LatchkeyError', path: error.path });
	}
}

/**
 * Lists the server's errors in what a client threw or returned: Apollo Client's CombinedGraphQLErrors, urql's
 * CombinedError, a GraphQL response, or a LatchkeyError. Empty for anything else.
 */
export function latchkeyErrors(from: unknown): LatchkeyError[] {
	if (from instanceof LatchkeyError) return [from];
	const { errors, graphQLErrors } = (from ?? {}) as { errors?: unknown; graphQLErrors?: unknown };
	return listed(errors ?? graphQLErrors).map((error) => new LatchkeyError(error));
}

function listed(errors: unknown): ResponseError[] {
	return Array.isArray(errors) ? errors.filter(Boolean) : [];
}

/** The parts of a GraphQL response that say whether it was refused. */
export interface Result {
	readonly data?: unknown;
	readonly errors?: readonly ResponseError[];
}

/**
 * Returns why a response was refused as UNAUTHENTICATED, or null. A mutation counts only if each of its root fields was
 * refused: otherwise a retry would repeat the others.
 */
export function refusal({ data, errors }: Result, mutation: boolean): string | null {
	const refused = listed(errors).filter(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
	const isRefused = (field: string) => refused.some(({ path }: ResponseError) => path?.join() === field);
	if (!refused.length || (mutation && !Object.keys(data ?? {}).every(isRefused))) return null;
	return String(refused[0]!.extensions?.reason);
}
