// Runs other people's clients against a running Latchkey, as programs use them.
//
// Usage: node clients.mjs HTTP_URL USERNAME PASSWORD
//
// HTTP_URL is the address of the server, such as http://127.0.0.1:8080, which is also the audience of its
// tokens unless AUDIENCE says otherwise. The user is an administrator. The exit code is 0 if all went well.
// Three users, disabled, and a few API tokens, revoked, stay behind.

import { Server } from './server.mjs';
import * as graphqlWs from './graphql-ws.mjs';
import * as apollo from './apollo.mjs';
import * as graphqlSse from './graphql-sse.mjs';
import * as urql from './urql.mjs';
import * as jose from './jose.mjs';

const [url, username, password] = process.argv.slice(2);
if (!url || !username || password === undefined) {
	console.error('usage: node clients.mjs HTTP_URL USERNAME PASSWORD');
	process.exit(2);
}
const server = new Server(url, username, password);
const giveUp = setTimeout(() => fail(new Error('not done after three minutes')), 180_000);

for (const [name, client] of Object.entries({ jose, 'graphql-ws': graphqlWs, 'graphql-sse': graphqlSse, apollo, urql })) {
	try {
		await client.run(server, (what) => console.log(`ok ${name}: ${what}`));
	} catch (error) {
		fail(error, name);
	}
}
clearTimeout(giveUp);

function fail(error, name = 'clients') {
	const closing = error.code ? `closed with ${error.code} ${error.reason}` : error;
	console.error(`FAILED ${name}: ${error.stack ?? closing}`);
	process.exit(1);
}
