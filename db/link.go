package db

import "context"

// A Link is a right that was sent to an e-mail address, for one use. Package auth computes its token from the ID.
type Link struct {
	ID        string         `db:"id"`
	Kind      string         `db:"kind"`
	Email     string         `db:"email"`   // to which it was sent, normalised
	UserID    *string        `db:"user_id"` // whose account it changes; nil: it makes one
	InvitedBy *string        `db:"invited_by"`
	Roles     JSONList[Role] `db:"roles"` // of an invitation
	CreatedAt Time           `db:"created_at"`
	ExpiresAt Time           `db:"expires_at"`
	UsedAt    *Time          `db:"used_at"` // or revoked
}

// Live reports whether the link can be used.
func (l *Link) Live(now Time) bool { return l.UsedAt == nil && now.Before(l.ExpiresAt.Time) }

// RoleNames returns Roles as a plain slice, as gqlgen needs it.
func (l *Link) RoleNames() []Role { return l.Roles }

// CreateLink stores a link, unless there is one with the ID.
func (db *DB) CreateLink(ctx context.Context, l *Link) error {
	_, err := db.Exec(ctx, "create link", `
		INSERT INTO links (id, kind, email, user_id, invited_by, roles, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
		l.ID, l.Kind, l.Email, l.UserID, l.InvitedBy, l.Roles, l.CreatedAt, l.ExpiresAt)
	return err
}

// Link returns the link with the ID, even if it cannot be used any more.
func (db *DB) Link(ctx context.Context, id string) (*Link, error) {
	l := new(Link)
	return l, db.get(ctx, l, "link", `SELECT * FROM links WHERE id = $1`, id)
}

// LinksTo lists the newest links of a kind that were sent to an address and can be used.
func (db *DB) LinksTo(ctx context.Context, email, kind string, now Time, limit int) ([]*Link, error) {
	return Select[Link](ctx, db, "links to an address", `
		SELECT * FROM links WHERE email = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3 ORDER BY id DESC LIMIT $4`, email, kind, now, limit)
}

// OpenLinks lists the links of a kind that can be used, oldest first.
func (db *DB) OpenLinks(ctx context.Context, kind string, now Time, p Page) (PageOf[Link], error) {
	return openLinks(kind, now).Page(ctx, db, p)
}

// CountOpenLinks counts the links of a kind that can be used.
func (db *DB) CountOpenLinks(ctx context.Context, kind string, now Time) (int, error) {
	return openLinks(kind, now).Count(ctx, db)
}

func openLinks(kind string, now Time) Listing[Link] {
	return Listing[Link]{
		Op: "open links", From: `links`, Where: `used_at IS NULL AND expires_at > $1`, Args: []any{now},
		columns: []string{"kind"}, keys: [][]any{{kind}},
	}
}

// RevokeLink revokes a link of a kind. It returns ErrNotFound if there is none that can be used.
func (db *DB) RevokeLink(ctx context.Context, id, kind string, now Time) error {
	return db.ExecOne(ctx, "revoke link", `
		UPDATE links SET used_at = $3 WHERE id = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3`, id, kind, now)
}

// UseLink uses a link up. It returns ErrNotFound if it was used, was revoked or has expired.
func (db *DB) UseLink(ctx context.Context, id string, now Time) error {
	return db.ExecOne(ctx, "use link", `UPDATE links SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2`, id, now)
}

// RevokeLinks revokes the links of a user's account, except those of a kind; "" revokes all.
func (db *DB) RevokeLinks(ctx context.Context, userID, except string, now Time) error {
	_, err := db.Exec(ctx, "revoke links", `UPDATE links SET used_at = $3 WHERE user_id = $1 AND used_at IS NULL AND kind <> $2`, userID, except, now)
	return err
}

// RevokeLinksSince revokes the links of a user's account except those that undo changes from before the time: a thief who changes
// the address twice must not be able to revoke the first owner's link by the second.
func (db *DB) RevokeLinksSince(ctx context.Context, userID, undo string, since, now Time) error {
	_, err := db.Exec(ctx, "revoke links since", `
		UPDATE links SET used_at = $4 WHERE user_id = $1 AND used_at IS NULL AND (kind <> $2 OR created_at >= $3)`, userID, undo, since, now)
	return err
}

// RevokeInvitationsBy revokes the invitations that a user has sent.
func (db *DB) RevokeInvitationsBy(ctx context.Context, userID string, now Time) error {
	_, err := db.Exec(ctx, "revoke invitations", `UPDATE links SET used_at = $2 WHERE invited_by = $1 AND used_at IS NULL`, userID, now)
	return err
}

// RevokeAllLinks revokes all links.
func (db *DB) RevokeAllLinks(ctx context.Context, now Time) error {
	_, err := db.Exec(ctx, "revoke all links", `UPDATE links SET used_at = $1 WHERE used_at IS NULL AND expires_at > $1`, now)
	return err
}

// DeleteLinksTo deletes the links that were sent to an address.
func (db *DB) DeleteLinksTo(ctx context.Context, email string) error {
	_, err := db.Exec(ctx, "delete links to an address", `DELETE FROM links WHERE email = $1`, email)
	return err
}

// RevokeLinksTo revokes the links of a kind that were sent to an address, and returns how many.
func (db *DB) RevokeLinksTo(ctx context.Context, email, kind string, now Time) (int, error) {
	n, err := db.Exec(ctx, "revoke links to an address", `
		UPDATE links SET used_at = $3 WHERE email = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3`, email, kind, now)
	return int(n), err
}

// DeleteLinksBefore deletes links that expired before the time.
func (db *DB) DeleteLinksBefore(ctx context.Context, before Time) error {
	_, err := db.deleteInBatches(ctx, "delete links", "links", "id", `expires_at < $1`, "expires_at", before)
	return err
}
