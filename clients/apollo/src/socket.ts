import type { Session } from './session.js';

/** The options that `latchkeySocket` gives to graphql-ws. */
export interface SocketOptions {
	url: string;
	connectionParams(): Promise<Record<string, string>>;
	on: { connected(socket: unknown): void; closed(event: unknown): void };
	shouldRetry(): boolean;
	retryAttempts: number;
	retryWait(retries: number): Promise<void>;
}

/** Closes a socket so that graphql-ws connects again. */
const RESTART = 4205;

/**
 * Options for `createClient` of graphql-ws: `createClient(latchkeySocket(session))`. Each connection has the newest token,
 * an open one is handed each refreshed token, and while it is open the session is refreshed. It connects again for as
 * long as somebody is logged in. For events of your own use the client's method `on`.
 */
export function latchkeySocket(session: Session): SocketOptions {
	let sent: { id: string; accessToken: string } | null = null; // what the server knows of this connection
	let socket: WebSocket | null = null;
	let timer: ReturnType<typeof setTimeout> | undefined;
	let unsubscribe = () => {};

	function schedule(): void {
		clearTimeout(timer);
		const wait = Math.max(session.current()?.dueIn ?? 0, 5_000) + Math.random() * 5_000; // one of the tabs for all
		if (socket && wait < 2 ** 31) timer = setTimeout(() => void session.accessToken().then(schedule), wait);
	}

	function hand(): void {
		const now = session.current();
		if (socket?.readyState !== 1 || now?.accessToken === sent?.accessToken) return;
		if (now?.id !== sent?.id) return socket.close(RESTART, 'another session');
		sent = now;
		socket.send(JSON.stringify({ type: 'ping', payload: { authorization: `Bearer ${now!.accessToken}` } }));
		schedule();
	}

	return {
		url: new URL(session.url, globalThis.location?.href).href.replace(/^http/, 'ws'),
		async connectionParams(): Promise<Record<string, string>> {
			await session.accessToken();
			sent = session.current();
			return sent ? { Authorization: `Bearer ${sent.accessToken}` } : {};
		},
		on: {
			connected(opened) {
				socket = opened as WebSocket;
				unsubscribe = session.subscribe(hand);
				hand(); // of what changed since connectionParams
				schedule();
			},
			closed(event) {
				const { code, reason } = event as { code: number; reason?: string };
				unsubscribe();
				clearTimeout(timer);
				socket = null;
				if (!sent) return;
				if (code === 4401) session.end(sent.accessToken, reason || 'UNAUTHENTICATED');
				if (code === 4403) {
					session.forget(sent.accessToken);
					void session.accessToken(); // now, so that the page sees at once whether the session is over
				}
			},
		},
		shouldRetry: () => !!session.state.viewer,
		retryAttempts: Infinity,
		retryWait: (retries) => new Promise((done) => setTimeout(done, Math.min(1000 * 2 ** retries, 30_000) * (0.5 + Math.random()))),
	};
}
