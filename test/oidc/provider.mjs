// An OpenID provider by the certified library oidc-provider, whose pages for development take any name and password. It prints
// its issuer, and then reads Latchkey's URL from its input.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const server = createServer();
server.listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);

const { value: latchkey } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const callback = 'https://app.example.com/callback';
const provider = new Provider(issuer, {
	clients: [{
		client_id: 'latchkey',
		client_secret: 'the client secret',
		redirect_uris: [callback, `${latchkey}/account/callback`],
		post_logout_redirect_uris: [callback],
		backchannel_logout_uri: `${latchkey}/oidc/backchannel-logout/acme`,
		backchannel_logout_session_required: true,
		grant_types: ['authorization_code'],
		response_types: ['code'],
	}],
	pkce: { required: () => true },
	claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
	fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its dispatcher refuses loopback addresses
	features: { backchannelLogout: { enabled: true } },
	findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id.replace(/-2$/, '')}@example.com`, email_verified: true, name: 'Carol', preferred_username: id }) }),
	cookies: { keys: ['test'] },
});
provider.on('backchannel.error', (_, error) => console.error('back-channel logout failed:', error));
provider.on('server_error', (_, error) => console.error('server error:', error));
server.on('request', provider.callback());
console.log('ready');
