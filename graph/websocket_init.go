package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/token"
)

const (
	initWait   = 5 * time.Second        // from the handshake to connection_init
	answerWait = 700 * time.Millisecond // for running queries and mutations after the token was revoked
)

// initialise handles connection_init: it authenticates the client and acknowledges.
func (s *socket) initialise(ctx context.Context, m message) error {
	if s.watch != nil {
		return &closeError{closeInitTwice, "Too many initialisation requests"}
	}
	authorization, err := credentials(m.Payload)
	if err != nil {
		return err
	}
	values := s.request.Header.Values("Authorization")
	if authorization != "" {
		values = []string{authorization}
	}
	// The viewer of the handshake may be out of date: it is seconds old.
	v := s.transport.auth.Identify(ctx, auth.ViewerFrom(ctx).Client, values)
	if err := v.Authenticated(); err != nil {
		return closeFor(err)
	}
	if !s.transport.streams.acquire(v.ID()) {
		return &closeError{closeTryLater, "Too many connections"}
	}
	text, _ := token.FromHeader(values)
	s.watched, s.watch = s.transport.auth.Watch(auth.WithViewer(ctx, v), text, v)
	context.AfterFunc(s.watched, func() {
		s.awaitAnswers() // this socket's own logout is one of them
		s.cancel(context.Cause(s.watched))
	})
	return s.write(ctx, message{Type: "connection_ack"})
}

// answerPing answers a ping with its payload. If the payload has credentials, they replace the socket's token by a newer
// one of the same session, and the pong confirms that.
func (s *socket) answerPing(ctx context.Context, m message) error {
	if _, err := decodeMembers(m.Payload); err != nil {
		return err
	}
	echo := message{Type: "pong", Payload: m.Payload}
	if s.watch == nil {
		return s.write(ctx, echo)
	}
	authorization, err := credentials(m.Payload)
	if err != nil || authorization == "" {
		return s.write(ctx, echo)
	}
	text, err := token.FromHeader([]string{authorization})
	if err != nil {
		return &closeError{closeForbidden, string(auth.Malformed)}
	}
	if err := s.watch.Renew(ctx, text); err != nil {
		return closeFor(err)
	}
	return s.write(ctx, message{Type: "pong", Payload: json.RawMessage(`{"authorization":"accepted"}`)})
}

// credentials returns the token in a payload as the value of an Authorization header, or "" if there is none. It
// accepts the forms of Apollo, graphql-ws, GraphiQL and Hasura: {"Authorization": "Bearer …"}, {"headers": {…}},
// {"authToken": "…"}, {"token": "…"}, {"accessToken": "…"}. Names match in any case; null and "" count as absent.
// Several members must have the same token.
func credentials(payload json.RawMessage) (authorization string, err error) {
	members, err := decodeMembers(payload)
	if err != nil {
		return "", err
	}
	found := credentialsIn(members)
	for name, value := range members {
		if strings.EqualFold(name, "headers") { // not recursive
			headers, err := decodeMembers(value)
			if err != nil {
				return "", err
			}
			found = append(found, credentialsIn(headers)...)
		}
	}
	for _, value := range found {
		var text string
		if json.Unmarshal(value, &text) != nil {
			return "", errPayload
		}
		if text != "" && !strings.Contains(text, " ") {
			text = "Bearer " + text
		}
		if text != "" && authorization != "" && text != authorization && !sameToken(text, authorization) {
			return "", errPayload
		}
		authorization = cmp.Or(text, authorization)
	}
	return authorization, nil
}

// sameToken reports whether two values of the header have the same token, perhaps with different schemes.
func sameToken(a, b string) bool {
	first, err1 := token.FromHeader([]string{a})
	second, err2 := token.FromHeader([]string{b})
	return err1 == nil && err2 == nil && first == second
}

// decodeMembers decodes a JSON object. null and nothing count as an empty one.
func decodeMembers(data json.RawMessage) (members map[string]json.RawMessage, err error) {
	if len(data) > 0 && json.Unmarshal(data, &members) != nil {
		return nil, errPayload
	}
	return members, nil
}

// credentialsIn returns the values of the members that are named like a token.
func credentialsIn(members map[string]json.RawMessage) (found []json.RawMessage) {
	for name, value := range members {
		switch strings.ToLower(name) {
		case "authorization", "authtoken", "token", "accesstoken", "access_token":
			found = append(found, value)
		}
	}
	return found
}
