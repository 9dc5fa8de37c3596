package graph

import (
	"errors"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/auth"
)

// The close codes of the protocol.
const (
	closeBadRequest      websocket.StatusCode = 4400 // an invalid message
	closeUnauthorized    websocket.StatusCode = 4401 // no token, or subscribe before connection_ack
	closeForbidden       websocket.StatusCode = 4403 // the token is invalid, expired or revoked: refresh it and reconnect
	closeNotAcceptable   websocket.StatusCode = 4406 // an unsupported subprotocol
	closeInitTimeout     websocket.StatusCode = 4408
	closeSubscriberTwice websocket.StatusCode = 4409 // the operation ID is in use
	closeInitTwice       websocket.StatusCode = 4429 // a second connection_init
	closeRestart         websocket.StatusCode = 1012 // the server is stopping: reconnect
	closeTryLater        websocket.StatusCode = 1013 // the user has too many sockets; unlike after 4429, clients retry
)

// closeWait is how long a client may take to answer our close frame.
const closeWait = 2 * time.Second

// A closeError is an error that closes the socket with a code and a reason.
type closeError struct {
	code   websocket.StatusCode
	reason string
}

func (c *closeError) Error() string { return c.reason }

var (
	errInvalidMessage = &closeError{closeBadRequest, "Invalid message received"}
	errPayload        = &closeError{closeBadRequest, "Invalid payload"}
	errSubprotocol    = &closeError{closeNotAcceptable, "Subprotocol not acceptable"}
	errInitTimeout    = &closeError{closeInitTimeout, "Connection initialisation timeout"}
	errRestart        = &closeError{closeRestart, "The server is restarting"}
	errPanic          = &closeError{websocket.StatusInternalError, "Internal server error"}
)

// closeFor returns how to close for want of a valid token: 4401 if the client has to log in, 4403 if refreshing
// the token may help. docs/errors.md lists the reasons.
func closeFor(err error) *closeError {
	unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](err)
	switch {
	case !ok:
		return &closeError{closeForbidden, "Forbidden"}
	case unauthenticated.Reason == auth.Missing:
		return &closeError{closeUnauthorized, string(unauthenticated.Reason)}
	}
	return &closeError{closeForbidden, string(unauthenticated.Reason)}
}

// close closes the socket with the code for the cause. Other causes mean that the client is gone.
func (s *socket) close(cause error) {
	var c *closeError
	var unauthenticated *auth.UnauthenticatedError
	switch {
	case errors.As(cause, &c):
	case errors.As(cause, &unauthenticated):
		c = closeFor(cause)
	default:
		s.conn.CloseNow()
		return
	}
	const longest = 123                                            // bytes of a reason (RFC 6455, section 5.5)
	cut := time.AfterFunc(closeWait, func() { _ = s.raw.Close() }) // Close may wait for a frame that never ends
	defer cut.Stop()
	s.conn.Close(c.code, c.reason[:min(len(c.reason), longest)])
}
