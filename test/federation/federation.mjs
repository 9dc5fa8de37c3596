// Composes Latchkey and examples/notes with three composers, and runs both behind Hive Gateway: what anonymous callers, users
// without scopes and users with scopes may read, through the gateway and directly at each subgraph.
//
// Usage: node federation.mjs
//
// It builds both servers, with SQLite files in a new folder. The exit code is 0 if all went well.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { composeServices as composeWithApollo } from '@apollo/composition';
import { composeServices as composeWithGuild } from '@theguild/federation-composition';
import { federateSubgraphs } from '@wundergraph/composition';
import { parse } from 'graphql';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const folder = mkdtempSync(join(tmpdir(), 'latchkey-federation-'));
const running = [];
const password = 'correct horse battery staple';

const login = 'mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken user { id } } }';
const query = `query($id: ID!) {
	about
	me { id username notes { text } }
	user(id: $id) { username notes { text } }
	notes { text author { username } }
	allNotes { text author { username } }
}`;

try {
	const urls = await startSubgraphs();
	const subgraphs = await readSubgraphs(urls);
	compose([{ ...subgraphs[0], typeDefs: parse(projectSchema()) }, subgraphs[1]]);
	ok('three composers accept a project with an entity of its own');
	const supergraphs = compose(subgraphs);
	ok('three composers accept both schemas, with their access directives');
	const { callers, ids } = await makeUsersAndNotes(urls);
	await checkDirectly(urls, callers, ids);
	for (const [composer, supergraph] of Object.entries(supergraphs)) {
		const gateway = await startGateway(composer, supergraph, urls.latchkey);
		await checkGateway(`Hive Gateway, composed by ${composer}`, gateway, callers, ids);
	}
	const unguarded = await startGateway('unguarded', supergraphs['@apollo/composition'], urls.latchkey, 'hive-unguarded.config.mjs');
	await checkUnguarded(unguarded, callers, ids);
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	for (const { name, log } of running) console.error(`${name}: ${log.join('').slice(-4000)}`);
	process.exitCode = 1;
} finally {
	for (const { child } of running) child.kill();
	rmSync(folder, { recursive: true });
}

// start runs a program until the end, and waits until a URL answers.
async function start(name, program, args, env, url) {
	const child = spawn(program, args, { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env } });
	const log = [];
	child.stdout.on('data', (text) => log.push(text));
	child.stderr.on('data', (text) => log.push(text));
	running.push({ name, child, log });
	for (const begin = Date.now(); Date.now() - begin < 60_000 && child.exitCode === null; await sleep(50)) {
		if (await fetch(url).then(() => true, () => false)) return;
	}
	throw new Error(`${name} did not start`);
}

async function freePort() {
	const probe = createServer().listen(0, '127.0.0.1');
	await new Promise((resolve) => probe.on('listening', resolve));
	const { port } = probe.address();
	await new Promise((resolve) => probe.close(resolve));
	return port;
}

function latchkey(args, input = '') {
	return execFileSync(join(folder, 'latchkey'), args, { cwd: folder, input, env: { PATH: process.env.PATH, HOME: folder }, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

async function startSubgraphs() {
	execFileSync('go', ['build', '-o', join(folder, 'latchkey'), '.'], { cwd: root });
	execFileSync('go', ['build', '-o', join(folder, 'notes'), '.'], { cwd: join(root, 'examples/notes') });
	for (const [name, role] of [['root', 'ADMIN'], ['alice', 'USER']]) {
		latchkey(['user', 'create', name, '--role', role, '--password-stdin'], `${password}\n`);
	}
	const addr = `127.0.0.1:${await freePort()}`;
	const urls = { latchkey: `http://${addr}` };
	await start('latchkey', join(folder, 'latchkey'), ['serve'], { LATCHKEY_ADDR: addr, LATCHKEY_ISSUER: urls.latchkey }, `${urls.latchkey}/readyz`);
	const token = latchkey(['token', 'create', 'root', '--name', 'notes', '--scope', 'tokens:introspect']).trim();
	const notes = `127.0.0.1:${await freePort()}`;
	urls.notes = `http://${notes}`;
	await start('notes', join(folder, 'notes'), [], { NOTES_ADDR: notes, LATCHKEY_ISSUER: urls.latchkey, LATCHKEY_API_TOKEN: token }, urls.notes);
	return urls;
}

// readSubgraphs returns the schemas as a gateway gets them, which are those of `schema print` and of the file.
async function readSubgraphs(urls) {
	const subgraphs = [];
	for (const [name, url] of Object.entries(urls)) {
		const { data } = await ask(url, null, '{ _service { sdl } }');
		subgraphs.push({ name, url: `${url}/graphql`, typeDefs: parse(data._service.sdl) });
	}
	assert.deepEqual(withoutPlaces(parse(latchkey(['schema', 'print']))), withoutPlaces(subgraphs[0].typeDefs));
	assert.deepEqual(withoutPlaces(parse(readFileSync(join(root, 'schema.graphqls'), 'utf8'))), withoutPlaces(subgraphs[0].typeDefs));
	return subgraphs;
}

// projectSchema returns the schema of examples/shop, which includes Latchkey's.
function projectSchema() {
	return execFileSync('go', ['run', '.', 'schema', 'print'], { cwd: join(root, 'examples/shop'), encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function withoutPlaces(document) {
	return JSON.parse(JSON.stringify(document, (key, value) => (key === 'loc' ? undefined : value)));
}

// compose returns the supergraphs that Hive Gateway can run, by the name of the composer.
function compose(subgraphs) {
	const apollo = composeWithApollo(subgraphs);
	assert.deepEqual(apollo.errors ?? [], []);
	const guild = composeWithGuild(subgraphs);
	assert.deepEqual(guild.errors ?? [], []);
	const cosmo = federateSubgraphs({ subgraphs: subgraphs.map(({ typeDefs, ...rest }) => ({ ...rest, definitions: typeDefs })), version: '1' });
	assert.ok(cosmo.success, JSON.stringify(cosmo.errors?.map(({ message }) => message)));
	const guarded = cosmo.fieldConfigurations.find((field) => field.typeName === 'Query' && field.fieldName === 'allNotes');
	assert.deepEqual(guarded?.requiredScopes, [['users:read']]);
	for (const { supergraphSdl } of [apollo, guild]) {
		assert.match(supergraphSdl, /allNotes: \[Note!\].*@requiresScopes\(scopes: \[\["users:read"\]\]\)/);
		assert.doesNotMatch(supergraphSdl, /_entities|_service/);
	}
	return { '@apollo/composition': apollo.supergraphSdl, '@theguild/federation-composition': guild.supergraphSdl };
}

async function startGateway(composer, supergraph, issuer, config = 'hive.config.mjs') {
	const file = join(folder, 'supergraph.graphql');
	writeFileSync(file, supergraph);
	const port = await freePort();
	const args = [join(here, 'node_modules/@graphql-hive/gateway/dist/bin.js'), 'supergraph', file, '-h', '127.0.0.1', '-p', port, '-c', join(here, config)];
	const url = `http://127.0.0.1:${port}`;
	await start(`gateway (${composer})`, process.execPath, args, { LATCHKEY_ISSUER: issuer }, `${url}/healthcheck`);
	return url;
}

async function ask(url, token, query, variables) {
	const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
	const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
	const text = await response.text();
	try {
		return { status: response.status, ...JSON.parse(text) };
	} catch {
		return { status: response.status, text };
	}
}

async function makeUsersAndNotes(urls) {
	const callers = { anonymous: null };
	const ids = {};
	for (const name of ['alice', 'root']) {
		const { data } = await ask(urls.latchkey, null, login, { u: name, p: password });
		callers[name] = data.login.accessToken;
		ids[name] = data.login.user.id;
		const added = await ask(urls.notes, callers[name], 'mutation($t: String!) { addNote(input: {text: $t}) { note { id } } }', { t: `by ${name}` });
		assert.equal(added.errors, undefined);
	}
	callers.apiToken = latchkey(['token', 'create', 'root', '--name', 'a program', '--scope', 'users:read']).trim();
	const signature = callers.root.slice(-10);
	callers.broken = callers.root.slice(0, -10) + (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
	return { callers, ids };
}

// codes returns the codes of errors, each once.
function codes({ errors = [] }) {
	return [...new Set(errors.map(({ extensions }) => extensions?.code))].sort();
}

// checkUnguarded expects the refusals of the subgraphs, which reach the client through a gateway that enforces nothing.
async function checkUnguarded(gateway, callers, ids) {
	for (const [caller, refused, code] of [
		['anonymous', ['me', 'user', 'notes', 'allNotes'], 'UNAUTHENTICATED'],
		['broken', ['me', 'user', 'notes', 'allNotes'], 'UNAUTHENTICATED'],
		['alice', ['user', 'allNotes'], 'FORBIDDEN'],
	]) {
		const response = await ask(gateway, callers[caller], query, { id: ids.alice });
		for (const field of refused) assert.equal(response.data?.[field] ?? null, null, `${caller}: ${field}`);
		assert.deepEqual(codes(response), [code], caller);
	}
	const admin = await ask(gateway, callers.root, query, { id: ids.alice });
	assert.equal(admin.errors, undefined);
	ok('the subgraphs refuse behind a gateway that enforces nothing');
}

// checkGateway compares fields and codes, not whole responses: Hive Gateway's status is 401 where a part is refused, and its
// data may have a member "@" then.
async function checkGateway(name, gateway, callers, ids) {
	const variables = { id: ids.alice };
	for (const caller of ['anonymous', 'broken', 'apiToken']) {
		const refused = await ask(gateway, callers[caller], query, variables);
		for (const field of ['me', 'user', 'notes', 'allNotes']) assert.equal(refused.data[field] ?? null, null, `${caller}: ${field}`);
		assert.match(refused.data.about, /Notes/);
		assert.deepEqual(codes(refused), ['UNAUTHORIZED_FIELD_OR_TYPE'], caller);
	}
	const stale = await ask(gateway, callers.broken, login, { u: 'alice', p: password });
	assert.ok(stale.data?.login?.accessToken, JSON.stringify(stale));

	const alice = await ask(gateway, callers.alice, query, variables);
	for (const field of ['user', 'allNotes']) assert.equal(alice.data[field] ?? null, null, field);
	assert.deepEqual(alice.data.me, { id: ids.alice, username: 'alice', notes: [{ text: 'by alice' }] });
	assert.deepEqual(alice.data.notes, [{ text: 'by alice', author: { username: 'alice' } }]);
	assert.deepEqual(codes(alice), ['UNAUTHORIZED_FIELD_OR_TYPE']);

	const admin = await ask(gateway, callers.root, query, variables);
	assert.equal(admin.errors, undefined);
	assert.deepEqual(admin.data.user, { username: 'alice', notes: [{ text: 'by alice' }] });
	assert.deepEqual(admin.data.allNotes.map(({ author }) => author.username), ['alice', 'root']);

	ok(`${name}: anonymous, without scopes, with scopes, broken signature`);
}

// checkDirectly asks the subgraphs as a gateway does, without one.
async function checkDirectly(urls, callers, ids) {
	const representations = [ids.alice, ids.root].map((id) => ({ __typename: 'User', id }));
	const fields = { latchkey: 'username', notes: 'notes { text }' };
	const visible = {
		latchkey: { alice: { username: 'alice' }, root: { username: 'root' } },
		notes: { alice: { notes: [{ text: 'by alice' }] }, root: { notes: [{ text: 'by root' }] } },
	};
	const hidden = { latchkey: null, notes: { notes: null } }; // notes knows IDs only, and hides what it has about them
	for (const [name, url] of Object.entries(urls)) {
		const query = `query($r: [_Any!]!) { _entities(representations: $r) { ... on User { ${fields[name]} } } }`;
		const as = (caller) => ask(url, callers[caller], query, { r: representations });
		for (const caller of ['anonymous', 'broken']) {
			const refused = await as(caller);
			assert.equal(refused.data?._entities ?? null, null, caller);
			assert.deepEqual(codes(refused), ['UNAUTHENTICATED'], caller);
		}
		const alice = await as('alice');
		assert.deepEqual(alice.data._entities, [visible[name].alice, hidden[name]]);
		assert.deepEqual(codes(alice), [name === 'latchkey' ? 'NOT_FOUND' : 'FORBIDDEN']);
		for (const caller of ['root', 'apiToken']) {
			const all = await as(caller);
			assert.deepEqual(all.data?._entities, [visible[name].alice, visible[name].root], caller);
			assert.equal(all.errors, undefined);
		}
	}
	ok('each subgraph refuses the same without a gateway');
}

function ok(what) {
	console.log(`ok: ${what}`);
}
