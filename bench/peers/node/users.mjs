// What the servers of this folder share: the schema, the tokens, and the users in PostgreSQL.
import { readFileSync } from "node:fs";
import { GraphQLError } from "graphql";
import pg from "pg";

export const typeDefs = /* GraphQL */ `
  type Query {
    me: User
    users(first: Int!): UserConnection
  }
  type UserConnection {
    nodes: [User!]!
  }
  type User {
    id: ID!
    username: String!
    email: String
    name: String
    createdAt: String!
  }
`;

// The harness writes a file of tokens, each with its user.
const viewers = new Map(Object.entries(JSON.parse(readFileSync(process.env.BENCH_TOKENS, "utf8"))));

export function viewer(authorization) {
  return viewers.get((authorization ?? "").replace(/^Bearer /, ""));
}

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });

async function users(first) {
  const { rows } = await pool.query({
    name: "users",
    text: 'SELECT id, username, email, name, created_at AS "createdAt" FROM users ORDER BY id LIMIT $1',
    values: [first],
  });
  for (const row of rows) row.createdAt = row.createdAt.toISOString();
  return rows;
}

function authenticated(viewer) {
  if (!viewer) throw new GraphQLError("not authenticated", { extensions: { code: "UNAUTHENTICATED" } });
  return viewer;
}

function hasRole(viewer, role) {
  if (authenticated(viewer).role !== role) throw new GraphQLError("not allowed", { extensions: { code: "FORBIDDEN" } });
}

export const resolvers = {
  Query: {
    me: (_parent, _args, { viewer }) => authenticated(viewer),
    users: async (_parent, { first }, { viewer }) => {
      hasRole(viewer, "ADMIN");
      return { nodes: await users(first) };
    },
  },
};

export const [host, port] = process.env.ADDR.split(":");
