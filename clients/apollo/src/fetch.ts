import { refusal, type Result } from './errors.js';
import type { Session } from './session.js';

export interface AuthFetchOptions {
	fetch?: typeof fetch;
	/** Other origins that may have the access token, such as `https://notes.example.com`. */
	origins?: readonly string[];
}

/**
 * Returns a fetch that sends the session's access token, to the session's origin and those of the options only. Where a
 * GraphQL response in JSON is a refusal that a refresh may cure, it refreshes and retries, once. It throws what fetch
 * throws, and a LatchkeyError if the refresh found no server.
 */
export function authFetch(session: Session, { fetch: fetcher, origins = [] }: AuthFetchOptions = {}): typeof fetch {
	const base = globalThis.location?.href;
	const trusted = [new URL(session.url, base).origin, ...origins];
	return async (input, init) => {
		const request = new Request(input instanceof Request ? input : new URL(input, base), init);
		const send = (token: string | null) => {
			const copy = request.clone();
			if (token) copy.headers.set('authorization', `Bearer ${token}`);
			return (fetcher ?? globalThis.fetch)(copy);
		};
		if (!trusted.includes(new URL(request.url).origin) || request.headers.has('authorization')) return send(null);
		const token = await session.accessToken();
		const response = await send(token);
		if (!/json/.test(response.headers.get('content-type') ?? '')) return response;
		const result: Result | null = await response.clone().json().catch(() => null);
		const reason = result && refusal(result, /\bmutation\b/.test(await request.clone().text()));
		const next = reason && (await session.recover(token, reason));
		return next ? send(next) : response;
	};
}
