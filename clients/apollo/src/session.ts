import { LatchkeyError, type ResponseError } from './errors.js';
import { inMemory, type SessionStorage } from './storage.js';

/** Who is logged in. */
export interface Viewer {
	readonly id: string;
	readonly username: string;
	readonly name: string | null;
	readonly roles: readonly string[];
	readonly scopes: readonly string[];
}

/** What a user interface shows of a session. The object stays the same until something in it changes. */
export interface SessionState {
	/** Null: nobody is logged in. */
	readonly viewer: Viewer | null;
	/**
	 * Why the last session ended: `LOGGED_OUT`, or a reason of the server such as `REFRESH_REUSED`, `REFRESH_EXPIRED`,
	 * `USER_DISABLED`, `REVOKED`, or `MISSING`: there is no cookie any more. Null while somebody is logged in, and before the
	 * first login.
	 */
	readonly endedBy: string | null;
}

export interface SessionOptions {
	/** Where the server answers GraphQL. */
	url: string;
	/** By default in memory. */
	storage?: SessionStorage;
	fetch?: typeof fetch;
	/** Milliseconds from any origin; by default Date.now. Only differences count. It must go on while the machine sleeps. */
	clock?: () => number;
}

/** A login, shared by all tabs that share its storage. */
export interface Session {
	readonly url: string;
	readonly state: SessionState;
	/** Calls back after each change, also of tokens and by other tabs. Returns what ends that. */
	subscribe(listener: () => void): () => void;
	/** Throws a LatchkeyError, such as INVALID_CREDENTIALS, RATE_LIMITED or NETWORK_ERROR. */
	login(username: string, password: string): Promise<Viewer>;
	/**
	 * Ends the session here at once and then at the server; `all` ends the user's other sessions too. Throws a
	 * LatchkeyError if the server could not be told: the session is over here, and there when it expires. With `all` also,
	 * UNAUTHENTICATED, if the session had ended already: then the others go on.
	 */
	logout(all?: boolean): Promise<void>;
	/**
	 * Returns an access token, refreshed before if it is about to expire; null if nobody is logged in. If it cannot be
	 * refreshed for now, it returns the old one. It does not throw.
	 */
	accessToken(): Promise<string | null>;
	/**
	 * Refreshes, and returns the new access token; null if nobody is logged in (any more). With the access token that was
	 * refused, it refreshes only if there is no newer one. Throws a LatchkeyError if the server does not answer.
	 */
	refresh(refused?: string): Promise<string | null>;
	/**
	 * Acts on a refusal (UNAUTHENTICATED) of the token for the reason: returns the token of the same user to retry with, once,
	 * or null. Throws as refresh does.
	 */
	recover(token: string | null, reason: string): Promise<string | null>;
	/** Makes accessToken refresh, if this is still the token. */
	forget(token: string): void;
	/** Ends the session here with that reason, if this is still its token. */
	end(token: string, reason: string): void;
	/** Returns the session's ID (of this client), its access token, and in how many milliseconds that is to be refreshed. */
	current(): { id: string; accessToken: string; dueIn: number } | null;
	/** Stops hearing of other tabs, until somebody subscribes again. Nobody is logged out. */
	dispose(): void;
}

/** The text in the storage. A session that has ended leaves its ID, so that no late answer revives it. */
interface Live {
	readonly id: string;
	/** The claim `gen`, which each refresh raises. The server gives all tabs the same successor, so this orders what they hold. */
	readonly n: number;
	/** Empty: it is in the cookie. */
	readonly refreshToken: string;
	/** Empty in the storage beside a cookie: each tab has its own. */
	readonly accessToken: string;
	/** When the access token was asked for, by the clock. */
	readonly since: number;
	/** In milliseconds; null: unknown. 0: to be refreshed. */
	readonly lifetime: number | null;
	readonly viewer: Viewer;
}
interface Ended {
	readonly id: string;
	readonly endedBy: string;
}
type Held = Live | Ended;
const isLive = (held: Held | null): held is Live => !!(held as Live | null)?.viewer;

/** The session of a cookie, of which this page knows nothing yet. */
const UNKNOWN = { id: '', n: 0, refreshToken: '', accessToken: '', since: 0, lifetime: 0 } as unknown as Live;

interface Payload {
	accessToken: string;
	refreshToken: string | null;
	user: Viewer;
}

const PAYLOAD = '{ accessToken refreshToken user { id username name roles scopes } }';
const LOGIN = `mutation($input: LoginInput!) { payload: login(input: $input) ${PAYLOAD} }`;
const REFRESH = `mutation($input: RefreshInput!) { payload: refresh(input: $input) ${PAYLOAD} }`;
const LOGOUT = 'mutation($input: LogoutInput!) { payload: logout(input: $input) { endedSessions } }';

/** The reasons that call for a refresh: see docs/errors.md. */
const REFRESHABLE = ['MALFORMED', 'EXPIRED', 'REVOKED', 'WRONG_AUDIENCE'];

export function createSession({ url, storage = inMemory(), fetch: fetcher, clock = Date.now }: SessionOptions): Session {
	const listeners = new Set<() => void>();
	const { cookie } = storage;
	let own: Live | null = null; // with the access token, which is not stored beside a cookie
	let text: string | null = null;
	let held: Held | null = null;
	let state: SessionState = { viewer: null, endedBy: null };
	let over: Ended | null = null; // the last session that this tab saw end
	let logouts = 0;
	let last: Promise<unknown> = Promise.resolve();
	let exchange: { id: string; of: string; promise: Promise<string | null> } | null = null;
	let failed: { at: number; wait: number } | null = null;
	let close: (() => void) | null = null;
	let channel: BroadcastChannel | null = null;

	/** Returns what is held now, after what other tabs did. */
	function read(): Held | null {
		const found = storage.read();
		if (found !== text) take(found);
		if (over && isLive(held) && held.id === over.id) write(over); // a tab that had not heard of the end saved a late answer
		return held;
	}

	function readLive(): Live | null {
		const now = read();
		return isLive(now) ? now : null;
	}

	/** Returns the session that a refresh may be for. */
	function known(): Live | null {
		return readLive() ?? (cookie && !held && !over ? UNKNOWN : null);
	}

	function take(next: string | null): void {
		text = next;
		try {
			held = JSON.parse(next ?? 'null');
		} catch {
			held = null;
		}
		if (cookie && isLive(held) && held.id === own?.id) held = { ...own, viewer: held.viewer };
		const { viewer = null, endedBy } = (held ?? {}) as Partial<Live & Ended>;
		if (!viewer && endedBy) over = held as Ended;
		const emptied = state.viewer ? 'LOGGED_OUT' : state.endedBy; // by somebody else
		const changed: SessionState = { viewer, endedBy: viewer ? null : endedBy ?? emptied };
		if (JSON.stringify(changed) !== JSON.stringify(state)) state = changed;
		for (const listener of listeners) queueMicrotask(() => listeners.has(listener) && listener()); // so that what it throws stops nothing here
	}

	function save(next: Held): void {
		if (isLive(next)) own = next;
		const saved = JSON.stringify(cookie && isLive(next) ? { ...UNKNOWN, id: next.id, viewer: next.viewer } : next);
		storage.write(saved);
		take(saved);
	}

	/** Saves, and tells other tabs. */
	function write(next: Held): void {
		save(next);
		post(next);
	}

	/** Tells other tabs to look; where each has a storage of its own, what is in this one. An ID alone asks what is in theirs. */
	function post(next: Held | { id: string }): void {
		channel?.postMessage(storage.tabs === 'same' ? null : next);
	}

	/** Hears of another tab. A duplicated tab has a copy of the session, and must keep up, or it reuses a refresh token. */
	function hear({ data }: { data: (Partial<Live & Ended> & { id: string }) | null }): void {
		const now = read();
		const mine = data && [over, now].find((one) => one?.id === data.id);
		if (!mine) return;
		if (!data.viewer && !data.endedBy) post(mine);
		else if (isLive(mine) && !(data.n! <= mine.n)) save(data as Held);
	}

	function open(): void {
		if (close) return;
		const unlisten = storage.listen?.(read);
		if (storage.tabs !== 'nothing' && globalThis.BroadcastChannel) {
			channel = new BroadcastChannel(`latchkey ${url}`);
			channel.onmessage = hear;
			(channel as { unref?(): void }).unref?.(); // Node
			const now = readLive();
			if (now && storage.tabs === 'copy') post({ id: now.id });
		}
		close = () => {
			unlisten?.();
			channel?.close();
			close = channel = null;
		};
	}

	/** Sends an operation; where answers may set the cookie, after the last one has been answered. */
	function request<T>(query: string, input: Record<string, string>, token?: string): Promise<T> {
		const sent = cookie ? last.then(() => send<T>(query, input, token)) : send<T>(query, input, token);
		last = sent.catch(() => {});
		return sent;
	}

	async function send<T>(query: string, input: Record<string, string>, token?: string): Promise<T> {
		let answer: { data?: { payload?: T | null } | null; errors?: ResponseError[] } | null = null;
		let cause: unknown;
		try {
			const response = await (fetcher ?? globalThis.fetch)(url, {
				method: 'POST',
				headers: {
					'content-type': 'application/json',
					...(token && { authorization: `Bearer ${token}` }),
					...(cookie && { 'latchkey-session': 'cookie' }),
				},
				credentials: cookie && 'include',
				body: JSON.stringify({ query, variables: { input } }),
				keepalive: true, // it may be the last that a page does
				// A refresh ends within the server's grace, in which another tab may have gone on with the successor.
				signal: AbortSignal.timeout?.(query === REFRESH ? 8_000 : 30_000),
			});
			answer = await response.json();
		} catch (error) {
			cause = error;
		}
		if (answer?.errors?.[0]) throw new LatchkeyError(answer.errors[0]);
		const payload = answer?.data?.payload;
		if (!payload) throw failure('NETWORK_ERROR', 'the server did not answer', cause);
		if (cookie && (payload as Partial<Payload>).refreshToken) throw failure('COOKIES_OFF', 'the server needs LATCHKEY_COOKIE');
		return payload;
	}

	async function login(username: string, password: string): Promise<Viewer> {
		open();
		if (cookie) await accessToken(); // of the session that this one replaces: its cookie will be lost
		const since = clock(), before = logouts;
		const opened = hold(String(Math.random()), await request<Payload>(LOGIN, { username, password }), since);
		const late = before !== logouts;
		const dropped = late ? opened : readLive();
		if (dropped) void endAtServer(dropped, 'CURRENT').catch(() => {});
		if (late) throw failure('LOGGED_OUT', 'logged out meanwhile');
		write(opened);
		return opened.viewer;
	}

	async function logout(all = false): Promise<void> {
		logouts++;
		const now = readLive();
		if (!now) return;
		write({ id: now.id, endedBy: 'LOGGED_OUT' });
		await endAtServer(now, all ? 'ALL' : 'CURRENT');
	}

	/** Ends a session that is no longer held. If its access token has expired, that takes another. */
	async function endAtServer({ id, accessToken, refreshToken }: Live, sessions: string): Promise<void> {
		try {
			await request(LOGOUT, { sessions }, accessToken).catch(async (error: LatchkeyError) => {
				if (error.code !== 'UNAUTHENTICATED') throw error;
				const next = await request<Payload>(REFRESH, { refreshToken });
				if (claims(next.accessToken).sid !== id) throw error; // the cookie is of another
				await request(LOGOUT, { sessions }, next.accessToken);
			});
		} catch (error) {
			if (sessions === 'ALL' || (error as LatchkeyError).code !== 'UNAUTHENTICATED') throw error; // else it has ended already
		}
	}

	function dueIn({ since, lifetime }: Live): number {
		if (lifetime === null) return Infinity;
		const age = clock() - since;
		return age < 0 ? 0 : lifetime - Math.min(30_000, lifetime / 4) - age; // below 0 the clock was set back
	}

	async function accessToken(): Promise<string | null> {
		const now = known();
		if (!now || dueIn(now) > 0 || (failed && Math.abs(clock() - failed.at) < failed.wait)) return now?.accessToken || null;
		try {
			return await refresh();
		} catch {
			return readLive()?.accessToken || null;
		}
	}

	async function refresh(refused?: string): Promise<string | null> {
		const now = known();
		if (!now) return null;
		if (refused && now.accessToken !== refused && dueIn(now) > 0) return now.accessToken;
		if (exchange?.of !== now.refreshToken) {
			if (exchange?.id === now.id) {
				await exchange.promise.catch(() => {}); // another tab was faster; a spent token must not arrive after the next
				return refresh(refused);
			}
			const mine = { id: now.id, of: now.refreshToken, promise: renew(now) };
			exchange = mine;
			void mine.promise.catch(() => {}).then(() => exchange === mine && (exchange = null));
		}
		return exchange.promise;
	}

	/** Exchanges the refresh token for the next. Other tabs may do the same at this moment: the server gives all the same. */
	async function renew({ id, refreshToken }: Live): Promise<string | null> {
		const since = clock();
		try {
			const payload = await request<Payload>(REFRESH, { refreshToken });
			failed = null;
			const next = hold(id, payload, since);
			const now = known(); // again: if there is no such session, or a newer token, this one came too late
			if (
				now?.id === id &&
				(now.refreshToken === refreshToken || (now.refreshToken === next.refreshToken && dueIn(now) <= 0))
			) write(next);
		} catch (error) {
			const { code, reason, retryAfter = 1 } = error as LatchkeyError;
			if (code !== 'UNAUTHENTICATED') {
				failed = { at: clock(), wait: retryAfter * 1000 };
				throw error;
			}
			const now = known();
			if (now === UNKNOWN) over = { id, endedBy: code }; // there is none
			else if (now?.id === id && now.refreshToken === refreshToken) write({ id, endedBy: reason ?? code });
		}
		return readLive()?.accessToken || null;
	}

	async function recover(token: string | null, reason: string): Promise<string | null> {
		if (token && reason === 'USER_DISABLED') end(token, reason);
		if (!token || !REFRESHABLE.includes(reason)) return null;
		const next = await refresh(token);
		return next === token || claims(next).sub !== claims(token).sub ? null : next; // never as another user
	}

	function forget(token: string): void {
		const now = readLive();
		if (now?.accessToken === token) write({ ...now, lifetime: 0 });
	}

	function end(token: string, reason: string): void {
		const now = readLive();
		if (now?.accessToken === token) write({ id: now.id, endedBy: reason });
	}

	open();
	read();
	return {
		url,
		get state() {
			return state;
		},
		subscribe(listener) {
			open();
			read();
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},
		login,
		logout,
		accessToken,
		refresh,
		recover,
		forget,
		end,
		current() {
			const now = readLive();
			return now?.accessToken ? { id: now.id, accessToken: now.accessToken, dueIn: dueIn(now) } : null;
		},
		dispose: () => close?.(),
	};
}

function failure(code: string, message: string, cause?: unknown): LatchkeyError {
	return new LatchkeyError({ message, extensions: { code } }, { cause });
}

function hold(id: string, { accessToken, refreshToken, user: viewer }: Payload, since: number): Live {
	const { exp, iat, sid = id, gen: n = 0 } = claims(accessToken);
	const lifetime = exp! > iat! ? (exp! - iat!) * 1000 : null; // of the server's times, because clocks may differ by hours
	return { id: sid, n, refreshToken: refreshToken ?? '', accessToken, since, lifetime, viewer };
}

/** Returns the claims of a JWT; none of what is no JWT. */
function claims(accessToken: string | null): { exp?: number; iat?: number; gen?: number; sid?: string; sub?: string } {
	try {
		return JSON.parse(atob(accessToken!.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/')));
	} catch {
		return {};
	}
}
