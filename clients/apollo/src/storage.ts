/** Keeps the text of a session. It must be synchronous; write one for another place with these members. */
export interface SessionStorage {
	/** What other tabs of the origin see of it: the `same` text, a `copy` (of a duplicated tab) or a part, or `nothing`. */
	readonly tabs: 'same' | 'copy' | 'nothing';
	/** The refresh token is in a cookie of the server: the text has no token. */
	readonly cookie?: true;
	read(): string | null;
	/** Replaces the text. */
	write(text: string): void;
	/** Calls back when another tab may have changed the text. Returns what ends that. Without it, BroadcastChannel tells. */
	listen?(changed: () => void): () => void;
}

/** In the memory of the page: a reload logs out. */
export function inMemory(): SessionStorage {
	let text: string | null = null;
	return { tabs: 'nothing', read: () => text, write: (next) => void (text = next) };
}

/** Per tab: survives a reload, and ends with the tab. In memory where the browser blocks it, and on servers. */
export function inSessionStorage(key = 'latchkey'): SessionStorage {
	return inWebStorage(() => globalThis.sessionStorage, 'copy', key);
}

/**
 * For all tabs of the origin, until the session ends. No script sees the refresh token: it is in a cookie of the server
 * (LATCHKEY_COOKIE). The access token is in memory, and localStorage has only who is logged in.
 */
export function inCookie(key = 'latchkey-session'): SessionStorage {
	return { ...inLocalStorage(key), tabs: 'copy', cookie: true };
}

/** For all tabs of the origin, until the session ends. In memory where the browser blocks it, and on servers. */
export function inLocalStorage(key = 'latchkey'): SessionStorage {
	return inWebStorage(() => globalThis.localStorage, 'same', key);
}

function inWebStorage(find: () => Storage, tabs: 'same' | 'copy', key: string): SessionStorage {
	let store: Storage;
	try {
		store = find();
		store.getItem(key);
	} catch {
		return inMemory();
	}
	let unsaved: string | null = null; // what the store has no room for
	return {
		tabs,
		read: () => unsaved ?? store.getItem(key),
		write(text) {
			unsaved = null;
			try {
				store.setItem(key, text);
			} catch {
				unsaved = text;
			}
		},
		listen(changed) {
			const events = ['storage', 'pageshow']; // a page in the back/forward cache is not told of changes
			for (const event of events) globalThis.addEventListener?.(event, changed);
			return () => events.forEach((event) => globalThis.removeEventListener?.(event, changed));
		},
	};
}
