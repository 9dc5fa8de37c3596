// The server as the checks need it beside the client that they check: plain requests, and waiting.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

export class Server {
	constructor(url, username, password) {
		this.url = url.replace(/\/$/, '');
		this.graphql = `${this.url}/graphql`;
		this.socket = this.graphql.replace(/^http/, 'ws');
		Object.assign(this, { username, password });
	}

	// ask sends a request and answers its data; errors are thrown.
	async ask(token, query, variables) {
		const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
		const body = JSON.stringify({ query, variables });
		const response = await fetch(this.graphql, { method: 'POST', headers, body, signal: AbortSignal.timeout(15_000) });
		const answer = await response.json();
		assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
		return answer.data;
	}

	// logIn opens a session and answers its pair of tokens.
	async logIn() {
		const input = { username: this.username, password: this.password };
		const data = await this.ask(null, `mutation($input: LoginInput!) { login(input: $input) { accessToken refreshToken expiresAt user { id } } }`, { input });
		return data.login;
	}

	// refresh exchanges a pair of tokens for the next.
	async refresh({ refreshToken }) {
		const data = await this.ask(null, `mutation($input: RefreshInput!) { refresh(input: $input) { accessToken refreshToken expiresAt } }`, { input: { refreshToken } });
		return data.refresh;
	}

	async logOut(token) {
		const data = await this.ask(token, `mutation { logout { endedSessions } }`);
		assert.equal(data.logout.endedSessions, 1);
	}

	// makeEvent makes an API token, which is a security event, and answers its ID. The token does not stay.
	async makeEvent(token) {
		const data = await this.ask(token, `mutation { createApiToken(input: { name: "check" }) { apiToken { id } } }`);
		const { id } = data.createApiToken.apiToken;
		await this.ask(token, `mutation($input: RevokeApiTokenInput!) { revokeApiToken(input: $input) { apiToken { id } } }`, { input: { id } });
		return id;
	}

	// hear makes events until one of them is among the received: a subscription starts some time after it is asked for.
	async hear(token, received) {
		const made = [];
		return until('a security event', async () => {
			made.push(await this.makeEvent(token));
			await sleep(300);
			return received.find((e) => e.kind === 'API_TOKEN_CREATED' && made.includes(e.objectId));
		});
	}
}

// SUBSCRIPTION is what all clients subscribe to.
export const SUBSCRIPTION = 'subscription Events { securityEvents { id kind objectId } }';

// until waits for something truthy, at most eight seconds.
export async function until(what, find) {
	for (const start = Date.now(); Date.now() - start < 8_000; await sleep(20)) {
		const found = await find();
		if (found) return found;
	}
	throw new Error(`${what} did not come`);
}
