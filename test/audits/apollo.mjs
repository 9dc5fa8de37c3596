// Logs in to a running server, is refused, refreshes and logs out, as programs with Apollo
// Client do: links add the token to every request, and refresh it when the server says so.
//
// Usage: node apollo.mjs URL USERNAME PASSWORD
//
// URL is the address of GraphQL. The exit code is 0 if all went well.

import assert from 'node:assert/strict';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { ErrorLink } from '@apollo/client/link/error';
import { catchError, from, of, switchMap } from 'rxjs';

const [url, username, password] = process.argv.slice(2);
if (!url || !username || password === undefined) {
	console.error('usage: node apollo.mjs URL USERNAME PASSWORD');
	process.exit(2);
}

const LOGIN = gql`mutation LogIn($input: LoginInput!) { login(input: $input) { accessToken refreshToken user { username } } }`;
const REFRESH = gql`mutation Refresh($input: RefreshInput!) { refresh(input: $input) { accessToken refreshToken } }`;
const LOGOUT = gql`mutation LogOut { logout { endedSessions } }`;
const ME = gql`query Me { me { id username roles } }`;

let tokens = null; // the pair that login or the last refresh gave
let refreshing = null; // the refresh that is under way, which all refused requests share
let requests = []; // what was sent since the last check, and with which header

const withToken = new SetContextLink(({ headers }) => ({
	headers: tokens ? { ...headers, authorization: bearer() } : headers,
}));

// After a refresh the operation is sent once more; what is refused then stays refused. What was refused
// while another's refresh came back needs none of its own.
const withRefresh = new ErrorLink(({ error, result, operation, forward }) => {
	if (!tokens || operation.operationName === 'Refresh' || codeOf(error) !== 'UNAUTHENTICATED') return;
	if (operation.getContext().headers.authorization === bearer()) refreshing ??= refresh().finally(() => (refreshing = null));
	return from(refreshing ?? Promise.resolve()).pipe(
		switchMap(() => forward(operation)),
		catchError((failure) => (CombinedGraphQLErrors.is(failure) ? of(result) : Promise.reject(failure))),
	);
});

const client = new ApolloClient({
	link: ApolloLink.from([withRefresh, withToken, new HttpLink({ uri: url, fetch: send })]),
	cache: new InMemoryCache(),
	defaultOptions: {
		query: { fetchPolicy: 'network-only', errorPolicy: 'all' },
		mutate: { fetchPolicy: 'no-cache', errorPolicy: 'all' },
	},
});

try {
	await refuseWrongPassword();
	await logIn();
	await readMe();
	await refuseGarbage();
	await refreshAndRetry();
	await refreshOnce();
	await logOut();
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	console.error('sent last:', requests);
	process.exitCode = 1;
} finally {
	client.stop();
}

async function refuseWrongPassword() {
	const { data, error } = await mutate(LOGIN, { username, password: `not ${password}` });
	assert.equal(codeOf(error), 'INVALID_CREDENTIALS');
	assert.equal(data.login, null);
	assert.deepEqual(sent(), ['LogIn']);
	ok('a wrong password is INVALID_CREDENTIALS, and nothing is sent after it');
}

async function logIn() {
	const { data, error } = await mutate(LOGIN, { username, password });
	assert.ifError(error);
	assert.equal(data.login.user.username, username);
	tokens = data.login;
	assert.deepEqual(sent(), ['LogIn']);
	ok('the right password gives an access token and a refresh token');
}

async function readMe() {
	const { data, error } = await client.query({ query: ME });
	assert.ifError(error);
	assert.equal(data.me.username, username);
	assert.deepEqual(sent(), ['Me with the access token']);
	ok('with the token, me is who logged in');
}

async function refuseGarbage() {
	const kept = tokens;
	tokens = null; // so that nothing refreshes
	const context = { headers: { authorization: 'Bearer garbage' } };
	const { data, error } = await client.query({ query: ME, context });
	assert.equal(codeOf(error), 'UNAUTHENTICATED');
	assert.equal(reasonOf(error), 'MALFORMED');
	assert.deepEqual(error.errors[0].path, ['me']);
	assert.equal(data.me, null);
	assert.equal(requests[0].status, 200);
	assert.deepEqual(sent(), ['Me with a stale token']);
	tokens = kept;
	ok('with garbage for a token, me is null and UNAUTHENTICATED for the reason MALFORMED');
}

async function refreshAndRetry() {
	const before = spoil();
	const { data, error } = await client.query({ query: ME });
	assert.ifError(error);
	assert.equal(data.me.username, username);
	assert.notEqual(tokens.refreshToken, before.refreshToken);
	assert.deepEqual(sent(), ['Me with a stale token', 'Refresh with a stale token', 'Me with the access token']);
	ok('a stale token is refreshed, though it is sent with the refresh too, and the query sent again');
}

async function refreshOnce() {
	spoil();
	const queries = ['A', 'B', 'C'].map((name) => gql`query ${name} { me { username } }`);
	const answers = await Promise.all(queries.map((query) => client.query({ query })));
	for (const { data, error } of answers) {
		assert.ifError(error);
		assert.equal(data.me.username, username);
	}
	const all = sent();
	assert.equal(all.length, 7, all.join(', '));
	assert.equal(all.filter((operation) => operation.startsWith('Refresh')).length, 1);
	ok('three queries at once with a stale token share one refresh');
}

async function logOut() {
	const { data, error } = await client.mutate({ mutation: LOGOUT });
	assert.ifError(error);
	assert.equal(data.logout.endedSessions, 1);
	sent();
	const answer = await client.query({ query: ME });
	assert.equal(codeOf(answer.error), 'UNAUTHENTICATED');
	assert.equal(reasonOf(answer.error), 'REVOKED');
	assert.equal(answer.data.me, null);
	assert.deepEqual(sent(), ['Me with the access token', 'Refresh with the access token']);
	ok('after logout the access token is REVOKED at once, and the refresh token is refused');
}

function bearer() {
	return `Bearer ${tokens.accessToken}`;
}

function mutate(mutation, input) {
	return client.mutate({ mutation, variables: { input } });
}

// refresh exchanges the refresh token, by way of the same links.
async function refresh() {
	const { data, error } = await mutate(REFRESH, { refreshToken: tokens.refreshToken });
	if (error) throw error;
	tokens = data.refresh;
}

// spoil makes the access token a stale one, and returns the pair as it was.
function spoil() {
	const before = tokens;
	tokens = { ...tokens, accessToken: 'stale.stale.stale' };
	return before;
}

// send notes each request on its way.
async function send(address, options) {
	const request = {
		operation: JSON.parse(options.body).operationName,
		token: new Headers(options.headers).get('authorization')?.replace('Bearer ', ''),
	};
	requests.push(request);
	const response = await fetch(address, { ...options, signal: AbortSignal.timeout(15_000) });
	request.status = response.status;
	return response;
}

// sent returns what was sent since it was last called, in the order of sending.
function sent() {
	const all = requests.map(({ operation, token }) => {
		if (!token) return operation;
		return `${operation} with ${/^(garbage|stale)/.test(token) ? 'a stale token' : 'the access token'}`;
	});
	requests = [];
	return all;
}

function codeOf(error) {
	return CombinedGraphQLErrors.is(error) ? error.errors[0].extensions?.code : undefined;
}

function reasonOf(error) {
	return error.errors[0].extensions?.reason;
}

function ok(what) {
	console.log(`ok: ${what}`);
}
