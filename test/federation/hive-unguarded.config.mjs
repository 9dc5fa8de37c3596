import { defineConfig } from '@graphql-hive/gateway';

// A gateway that enforces nothing, as Hive Gateway without genericAuth: the subgraphs refuse.
export const gatewayConfig = defineConfig({
	propagateHeaders: {
		fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') ?? undefined }),
	},
});
