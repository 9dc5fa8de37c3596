import { createRemoteJwksSigningKeyProvider, defineConfig, extractFromHeader } from '@graphql-hive/gateway';

const issuer = process.env.LATCHKEY_ISSUER;

export const gatewayConfig = defineConfig({
	jwt: {
		tokenLookupLocations: [extractFromHeader({ name: 'authorization', prefix: 'Bearer' })],
		signingKeyProviders: [createRemoteJwksSigningKeyProvider({ jwksUri: `${issuer}/.well-known/jwks.json` })],
		tokenVerification: { issuer, audience: issuer, algorithms: ['ES256'] },
		reject: { missingToken: false, invalidToken: false }, // an expired token does not stand in the way of login and refresh
		forward: { payload: false, token: false },
	},
	genericAuth: {
		// Without it, Hive Gateway does not enforce @authenticated and @requiresScopes.
		mode: 'protect-granular',
		resolveUserFn: (context) => context.jwt?.payload,
		extractScopes: (user) => user?.scope?.split(' ') ?? [],
		rejectUnauthenticated: false,
	},
	propagateHeaders: {
		fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') ?? undefined }),
	},
});
