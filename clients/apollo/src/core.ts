export { LatchkeyError, latchkeyErrors, type ErrorCode, type ResponseError } from './errors.js';
export { authFetch, type AuthFetchOptions } from './fetch.js';
export { createSession, type Session, type SessionOptions, type SessionState, type Viewer } from './session.js';
export { latchkeySocket, type SocketOptions } from './socket.js';
export { inCookie, inLocalStorage, inMemory, inSessionStorage, type SessionStorage } from './storage.js';
