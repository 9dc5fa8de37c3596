/** Keeps the text of a session. It must be synchronous; write one for another place with these four members. */
export interface SessionStorage {
	/** What other tabs of the origin see of it: the `same` text, a `copy` (of a duplicated tab), or `nothing`. */
	readonly tabs: 'same' | 'copy' | 'nothing';
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

/** For all tabs of the origin, until the session ends. In memory where the browser blocks it, and on servers. */
export function inLocalStorage(key = 'latchkey'): SessionStorage {
	return inWebStorage(() => globalThis.localStorage, 'same', key);
}

function inWebStorage(find: () => Storage, tabs: 'same' | 'copy', key: string): SessionStorage {
	let store: Storage;
	try {
		store = find();
		const probe = `${key}.probe`;
		store.setItem(probe, '');
		store.removeItem(probe);
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
