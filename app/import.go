package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/auth"
)

// An Import creates Latchkey users from the rows of the program's own table, in another database or schema, when the server
// starts. Each row is imported once, because Link marks it. Several processes may import at the same time.
type Import struct {
	DB *sql.DB // if nil, nothing is imported

	// Users selects the rows that are not linked yet, with the columns id and username, and optionally email, name,
	// password_hash (see auth.ImportUserInput) and roles, separated by commas.
	Users string

	// Link stores the ID of the Latchkey user, its first parameter, in the row with the id, its second.
	Link string
}

type importRow struct {
	id   any
	user auth.ImportUserInput
}

// run imports all rows that it can, and returns the errors of the others.
func (i Import) run(ctx context.Context, service *auth.Service) error {
	if i.DB == nil {
		return nil
	}
	rows, err := i.read(ctx)
	if err != nil {
		return fmt.Errorf("import users: %w", err)
	}
	var faults []error
	for _, r := range rows {
		u, err := service.ImportUser(auth.WithViewer(ctx, auth.Operator()), r.user)
		if err == nil {
			_, err = i.DB.ExecContext(ctx, i.Link, u.ID, r.id)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("import user %v: %w", r.id, err))
		}
	}
	return errors.Join(faults...)
}

// read reads all rows before the first is linked, because the program's database may have only one connection.
func (i Import) read(ctx context.Context) (all []importRow, err error) {
	rows, err := i.DB.QueryContext(ctx, i.Users)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var r importRow
		var hash, roles sql.NullString
		into := map[string]any{
			"id": &r.id, "username": &r.user.Username, "email": &r.user.Email, "name": &r.user.Name, "password_hash": &hash, "roles": &roles,
		}
		var targets []any
		for _, column := range columns {
			target, known := into[column]
			if !known {
				return nil, fmt.Errorf("the column %q has no use: rename it with AS", column)
			}
			targets = append(targets, target)
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		if text, ok := r.id.([]byte); ok {
			r.id = string(text)
		}
		r.user.PasswordHash = hash.String
		r.user.Roles = strings.FieldsFunc(roles.String, func(c rune) bool { return c == ',' || c == ' ' })
		all = append(all, r)
	}
	return all, rows.Err()
}
