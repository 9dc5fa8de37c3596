// A session of the page: log in, refresh before the access token expires, log out. The access token is in memory alone. The
// refresh token is in the server's cookie, if the server has LATCHKEY_COOKIE: then localStorage says so, for all tabs of the
// browser. Otherwise it is in sessionStorage, so that the session survives a reload and ends with the browser tab.
const LatchkeySession = (endpoint) => {
	'use strict';

	const stored = 'latchkey:refreshToken';
	const inCookie = 'latchkey:cookie';
	const early = 30_000; // milliseconds before the expiry at which the token is refreshed
	const fields = 'accessToken expiresAt refreshToken user { username roles scopes }';
	const listeners = new Set();
	let current = null; // {accessToken, expires, user}
	let refreshing = null;
	let challenge = null; // of a login that waits for a second factor

	const set = (payload) => {
		current = payload && { accessToken: payload.accessToken, expires: Date.parse(payload.expiresAt), user: payload.user };
		sessionStorage.removeItem(stored);
		localStorage.removeItem(inCookie);
		if (payload?.refreshToken) sessionStorage.setItem(stored, payload.refreshToken);
		else if (payload) localStorage.setItem(inCookie, 'true');
		for (const listener of listeners) listener();
	};

	// held is null if no one is logged in.
	const held = () => sessionStorage.getItem(stored) ?? localStorage.getItem(inCookie);

	// ask sends an operation and returns its data, or throws an Error with the code of the first error.
	const ask = async (query, variables, accessToken) => {
		const headers = { 'Content-Type': 'application/json', Accept: 'application/json', 'Latchkey-Session': 'cookie' };
		if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
		const response = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
		const { data, errors } = await response.json();
		if (!errors) return data;
		throw Object.assign(new Error(errors[0].message), errors[0].extensions);
	};

	const refresh = async () => {
		const before = held();
		if (!before) return;
		const input = { refreshToken: sessionStorage.getItem(stored) ?? undefined }; // undefined: that of the cookie
		try {
			const query = `mutation Refresh($input: RefreshInput) { refresh(input: $input) { ${fields} } }`;
			const { refresh: payload } = await ask(query, { input });
			if (held() === before) set(payload); // else someone has logged out or in meanwhile
		} catch (error) {
			if (error.code === 'UNAUTHENTICATED') set(null); // expired, revoked or reused; a failed connection keeps the session
			else throw error;
		}
	};

	// begin opens a session by a mutation, or keeps the challenge of a second factor.
	const begin = async (mutation, query, variables) => {
		try {
			set((await ask(query, variables))[mutation]);
		} catch (error) {
			challenge = error.challenge ?? null;
			throw error;
		}
	};

	return {
		onChange: (listener) => listeners.add(listener),
		get viewer() {
			return current?.user ?? null;
		},
		// secondsLeft is how long the access token is valid; it is refreshed before.
		get secondsLeft() {
			return current ? Math.max(0, Math.round((current.expires - Date.now()) / 1000)) : 0;
		},
		// logIn throws an Error with the code MFA_REQUIRED if the user has a second factor; then completeLogIn goes on.
		logIn: (username, password) => begin(
			'login',
			`mutation LogIn($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { ${fields} } }`,
			{ u: username, p: password },
		),
		async completeLogIn(code, passkey) {
			const { completeLogin } = await ask(
				`mutation CompleteLogIn($x: String!, $c: String, $p: String) { completeLogin(input: {challenge: $x, code: $c, passkey: $p}) { ${fields} } }`,
				{ x: challenge, c: code, p: passkey },
			);
			set(completeLogin);
		},
		logInByPasskey: (passkey) => begin('loginByPasskey', `mutation LogIn($p: String!) { loginByPasskey(input: {passkey: $p}) { ${fields} } }`, { p: passkey }),
		// logInWith logs in by what was sent by mail: the fields of EmailLoginInput, with the variables that they use.
		logInWith: (input, declared, variables) => begin('loginByEmail', `mutation LogIn(${declared}) { loginByEmail(input: {${input}}) { ${fields} } }`, variables),
		// logInByProvider completes a log-in by a provider: see CompleteProviderLoginInput.
		logInByProvider: (input) => begin('completeProviderLogin', `mutation LogIn($i: CompleteProviderLoginInput!) { completeProviderLogin(input: $i) { ${fields} } }`, { i: input }),
		ask,
		// forget is for a session that has ended by other means.
		forget: () => set(null),
		// logOut forgets the session even if the server cannot be reached.
		async logOut() {
			const token = current?.accessToken;
			set(null);
			if (token) await ask('mutation { logout { endedSessions } }', {}, token);
		},
		// token returns a valid access token, or null if no one is logged in.
		async token() {
			if (held() && (!current || current.expires - Date.now() < early)) {
				refreshing ??= refresh().finally(() => { refreshing = null; });
				await refreshing;
			}
			return current?.accessToken ?? null;
		},
	};
};
