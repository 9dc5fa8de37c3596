package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// Users of the seeded data, oldest first: an administrator, then those who call `me`, then those who log in. They have the
// same password. The others have none.
const (
	maxCallers = 32
	logins     = 4
)

// data is what the database is filled with. All secrets are made at random.
type data struct {
	secret, password string
	users            []*db.User
	apiTokens        []string // of the users, in turn
}

// administrator stands for the first user where callers are numbered.
const administrator = maxCallers

func (m *data) caller(i int) *db.User     { return m.users[1+i%maxCallers] }
func (m *data) login(i int) *db.User      { return m.users[1+maxCallers+i%logins] }
func (m *data) tokenOwner(i int) *db.User { return m.users[i%len(m.users)] }

// seed migrates the database and fills it.
func seed(ctx context.Context, url string, users, apiTokens int) (*data, error) {
	d, err := db.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Migrate(ctx); err != nil {
		return nil, err
	}
	made := &data{secret: auth.GenerateSecret(), password: rand.Text()}
	ctx = auth.WithViewer(ctx, auth.Operator())
	if err := made.addAdministrator(ctx, d); err != nil {
		return nil, err
	}
	if err := made.addUsers(ctx, d, max(users, 2+maxCallers+logins)); err != nil {
		return nil, err
	}
	if err := made.addAPITokens(ctx, d, apiTokens); err != nil {
		return nil, err
	}
	if err := made.analyze(ctx, d); err != nil {
		return nil, err
	}
	return made, nil
}

// addAdministrator creates the user who may list the others, and whose password's hash the others share: making hundreds of
// hashes takes long.
func (m *data) addAdministrator(ctx context.Context, d *db.DB) error {
	secrets, err := auth.ParseSecrets(m.secret)
	if err != nil {
		return err
	}
	// All times have milliseconds, the last digit not 0: then all servers write them alike.
	now := time.Now().Truncate(time.Second).Add(time.Millisecond)
	service, err := auth.New(ctx, auth.Options{
		DB: d, Secrets: secrets, Issuer: "http://bench.test",
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	email, name := "admin@bench.example", "The Administrator"
	u, err := service.CreateUser(ctx, auth.CreateUserInput{
		Username: "admin", Email: &email, Name: &name, Password: &m.password, Roles: []db.Role{auth.RoleAdmin},
	})
	m.users = append(m.users, u)
	return err
}

func (m *data) addUsers(ctx context.Context, d *db.DB, n int) error {
	start, hash := m.users[0].CreatedAt, m.users[0].PasswordHash
	return d.Transact(ctx, func(tx *db.DB) error {
		for i := 1; i < n; i++ {
			if i == 1+maxCallers+logins {
				hash = ""
			}
			username, name := fmt.Sprintf("user-%05d", i), fmt.Sprintf("Firstname Lastname %05d", i)
			email, at := username+"@bench.example", start.Add(time.Duration(10*i)*time.Millisecond)
			u := &db.User{
				ID: db.NewID(db.UserID), Username: username, UsernameKey: username, Email: &email, Name: &name,
				PasswordHash: hash, Roles: []db.Role{auth.RoleUser}, CreatedAt: at, UpdatedAt: at,
			}
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			m.users = append(m.users, u)
		}
		return nil
	})
}

// addAPITokens inserts tokens by many at a time.
func (m *data) addAPITokens(ctx context.Context, d *db.DB, n int) error {
	const columns, most = 6, 100
	for len(m.apiTokens) < n {
		var rows []string
		var args []any
		for range min(most, n-len(m.apiTokens)) {
			text := token.NewAPIToken()
			owner := m.tokenOwner(len(m.apiTokens))
			rows = append(rows, fmt.Sprintf("($%d, $%d, $%d, $%d, $%d, $%d)",
				len(args)+1, len(args)+2, len(args)+3, len(args)+4, len(args)+5, len(args)+columns))
			args = append(args, db.NewID(db.TokenID), owner.ID, "bench", token.Digest(text), db.JSONList[string]{}, owner.CreatedAt)
			m.apiTokens = append(m.apiTokens, text)
		}
		_, err := d.Exec(ctx, "add API tokens", `
			INSERT INTO api_tokens (id, user_id, name, digest, scopes, created_at) VALUES `+strings.Join(rows, ", "), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// addSessions inserts sessions of users who do nothing else, and returns their IDs.
func (r *run) addSessions(ctx context.Context, n int) (ids []string, err error) {
	d, err := db.Open(ctx, r.database.url)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	now, owners := db.TimeOf(time.Now()), r.users[1+maxCallers+logins:]
	err = d.Transact(ctx, func(tx *db.DB) error {
		ids = nil // the transaction may run again
		for i := range n {
			s := &db.Session{
				ID: db.NewID(db.SessionID), UserID: owners[i%len(owners)].ID, Device: "bench",
				IP: "127.0.0.1", LoginNetwork: "127.0.0.1", Generation: 1,
				CreatedAt: now, AuthenticatedAt: now, RotatedAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
			}
			if err := tx.CreateSession(ctx, s); err != nil {
				return err
			}
			ids = append(ids, s.ID)
		}
		return nil
	})
	return ids, err
}

// analyze lets the database plan for what it has now, rather than in the middle of a measurement.
func (m *data) analyze(ctx context.Context, d *db.DB) error {
	_, err := d.Exec(ctx, "analyze", `ANALYZE`)
	return err
}

// viewerOf is what `{ me { id username email } }` selects.
func viewerOf(u *db.User) any {
	return struct {
		ID       string  `json:"id"`
		Username string  `json:"username"`
		Email    *string `json:"email"`
	}{u.ID, u.Username, u.Email}
}

// meResponse is the response to that query.
func meResponse(u *db.User) []byte {
	return mustJSON(map[string]any{"data": map[string]any{"me": viewerOf(u)}})
}

// listResponse is the response to the query of the first 50 users.
func (m *data) listResponse() []byte {
	type node struct {
		ID        string  `json:"id"`
		Username  string  `json:"username"`
		Email     *string `json:"email"`
		Name      *string `json:"name"`
		CreatedAt db.Time `json:"createdAt"`
	}
	var nodes []node
	for _, u := range m.users[:50] {
		nodes = append(nodes, node{u.ID, u.Username, u.Email, u.Name, u.CreatedAt})
	}
	return mustJSON(map[string]any{"data": map[string]any{"users": map[string]any{"nodes": nodes}}})
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(errors.Join(errors.New("not JSON"), err)) // values of fixed types
	}
	return b
}
