// Apollo Server, as its documentation begins.
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { host, port, resolvers, typeDefs, viewer } from "./users.mjs";

await startStandaloneServer(new ApolloServer({ typeDefs, resolvers }), {
  context: async ({ req }) => ({ viewer: viewer(req.headers.authorization) }),
  listen: { host, port: Number(port) },
});
