// jose, as services verify access tokens: with the published keys alone.

import assert from 'node:assert/strict';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';

export async function run(server, ok) {
	const { accessToken, user } = await server.logIn();
	const { issuer } = await (await fetch(`${server.url}/.well-known/oauth-authorization-server`)).json();
	const keys = createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`));
	const options = { issuer, audience: process.env.AUDIENCE ?? issuer, typ: 'at+jwt', algorithms: ['ES256'] };
	const required = ['exp', 'iat', 'jti', 'sub', 'sid', 'client_id', 'scope'];

	const { payload, protectedHeader } = await jwtVerify(accessToken, keys, { ...options, requiredClaims: required });
	assert.equal(payload.sub, user.id);
	assert.ok(payload.exp - payload.iat <= 15 * 60);
	assert.equal(protectedHeader.kid, decodeProtectedHeader(accessToken).kid);
	ok('the published keys verify an access token, with its issuer, audience, type and algorithm pinned');

	await refused(accessToken, keys, { ...options, audience: 'https://other.example' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED');
	await refused(accessToken, keys, { ...options, issuer: 'https://other.example' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED');
	const forged = accessToken.replace(/\.[^.]*$/, `.${'A'.repeat(86)}`);
	await refused(forged, keys, options, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
	ok("another audience, another issuer and a forged signature are refused");
	await server.logOut(accessToken);
}

async function refused(token, keys, options, code) {
	await assert.rejects(jwtVerify(token, keys, options), { code });
}
