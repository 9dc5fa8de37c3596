// Package graph is the GraphQL API: resolvers, access directives, errors, limits and transports. A resolver takes the
// input, calls one function of auth or db, and returns its result. The schema declares who may access a field. Rules beyond
// that, such as ownership, are in package auth.
package graph

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph/model"
	"github.com/latchkey/latchkey/graph/relay"
)

// A Resolver has the dependencies of resolvers: auth for actions and for data of users, db for plain reads.
type Resolver struct {
	Auth *auth.Service
	DB   *db.DB

	// Nodes maps the kinds of IDs (db.KindOf) of a program's own types to functions that Query.node calls. They return
	// db.ErrNotFound for objects that the viewer may not see.
	Nodes map[string]func(ctx context.Context, id string) (relay.Node, error)

	// Entities maps the names of a program's own types with @key to functions that Query._entities calls. A program that
	// has renamed User needs UserEntities under the new name. May be nil.
	Entities map[string]EntityFinder

	// SDL returns the schema for Query._service; see the function SDL. Latchkey's own if nil.
	SDL func() string
}

// viewer returns the request's viewer.
func viewer(ctx context.Context) *auth.Viewer { return auth.ViewerFrom(ctx) }

// node returns the object with the ID.
func (r *Resolver) node(ctx context.Context, id string) (relay.Node, error) {
	switch db.KindOf(id) {
	case db.UserID:
		return found(r.Auth.User(ctx, id))
	case db.SessionID:
		return found(r.Auth.Session(ctx, id))
	case db.TokenID:
		return found(r.Auth.APIToken(ctx, id))
	}
	if find, ok := r.Nodes[db.KindOf(id)]; ok {
		return find(ctx, id)
	}
	return nil, &auth.InputError{Field: "id", Message: "must be the ID of an object"}
}

// found prevents a nil pointer from becoming a non-nil Node.
func found[T any](object *T, err error) (relay.Node, error) {
	if err != nil {
		return nil, err
	}
	return object, nil
}

func userID(u *db.User) string         { return u.ID }
func sessionID(s *db.Session) string   { return s.ID }
func apiTokenID(t *db.APIToken) string { return t.ID }

// orEmpty returns an optional text, or "".
func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// maxSearch bounds the search text, in bytes.
const maxSearch = 200

func (r *Resolver) users(ctx context.Context, search *string, args relay.Args) (*relay.UserConnection, error) {
	text := ""
	if search != nil {
		text = *search
	}
	if len(text) > maxSearch {
		return nil, &auth.InputError{Field: "search", Message: "must have at most 200 bytes"}
	}
	page, err := args.Page(db.UserID)
	if err != nil {
		return nil, err
	}
	page.Columns = selectedColumns(ctx)
	rows, err := r.Auth.Users(ctx, text, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, userID, func(ctx context.Context) (int, error) { return r.Auth.CountUsers(ctx, text) }), nil
}

func (r *Resolver) sessions(ctx context.Context, owner string, args relay.Args) (*relay.SessionConnection, error) {
	page, err := args.Page(db.SessionID)
	if err != nil {
		return nil, err
	}
	rows, err := r.Auth.Sessions(ctx, owner, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, sessionID, func(ctx context.Context) (int, error) { return r.Auth.CountSessions(ctx, owner) }), nil
}

func (r *Resolver) apiTokens(ctx context.Context, owner string, args relay.Args) (*relay.APITokenConnection, error) {
	page, err := args.Page(db.TokenID)
	if err != nil {
		return nil, err
	}
	rows, err := r.Auth.APITokens(ctx, owner, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, apiTokenID, func(ctx context.Context) (int, error) { return r.Auth.CountAPITokens(ctx, owner) }), nil
}

func eventID(e *db.Event) string { return e.ID }

func (r *Resolver) auditLog(ctx context.Context, filter *db.EventFilter, args relay.Args) (*relay.EventConnection, error) {
	if filter == nil {
		filter = &db.EventFilter{}
	}
	for field, id := range map[string]*string{"userId": filter.UserID, "actorId": filter.ActorID} {
		if id != nil && db.CheckID(db.UserID, *id) != nil {
			return nil, &auth.InputError{Field: field, Message: "must be the ID of a user"}
		}
	}
	page, err := args.Page(db.EventID)
	if err != nil {
		return nil, err
	}
	rows, err := r.Auth.Events(ctx, *filter, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, eventID, func(ctx context.Context) (int, error) { return r.Auth.CountEvents(ctx, *filter) }), nil
}

func invitationID(l *db.Link) string { return l.ID }

func (r *Resolver) invitations(ctx context.Context, args relay.Args) (*relay.InvitationConnection, error) {
	page, err := args.Page(db.LinkID)
	if err != nil {
		return nil, err
	}
	rows, err := r.Auth.Invitations(ctx, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, invitationID, r.Auth.CountInvitations), nil
}

// changesOf converts the input: an absent field is left unchanged, an explicit null clears it.
func changesOf(in model.UpdateUserInput) auth.UserChanges {
	changes := auth.UserChanges{Username: in.Username}
	if email, ok := in.Email.ValueOK(); ok {
		changes.Email = &email
	}
	if name, ok := in.Name.ValueOK(); ok {
		changes.Name = &name
	}
	if in.Roles != nil {
		changes.Roles = &in.Roles
	}
	return changes
}
