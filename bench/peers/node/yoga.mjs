// GraphQL Yoga on Node's HTTP server, as its documentation begins.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { host, port, resolvers, typeDefs, viewer } from "./users.mjs";

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  context: ({ request }) => ({ viewer: viewer(request.headers.get("authorization")) }),
});
createServer(yoga).listen(Number(port), host);
