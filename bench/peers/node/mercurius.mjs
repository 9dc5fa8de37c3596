// Mercurius on Fastify, with queries compiled at their first use (jit: 1).
import Fastify from "fastify";
import mercurius from "mercurius";
import { host, port, resolvers, typeDefs, viewer } from "./users.mjs";

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  context: (request) => ({ viewer: viewer(request.headers.authorization) }),
  jit: 1,
});
await app.listen({ host, port: Number(port) });
