import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// Pages and API have one origin, here and in production: no CORS, and the cookie with the refresh token stays SameSite=Strict.
const proxy = { '/graphql': { target: process.env.LATCHKEY_URL ?? 'http://127.0.0.1:8080', ws: true } };

export default defineConfig({ plugins: [react()], server: { proxy }, preview: { proxy } });
