package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// The token of a link is "ll_ID.MAC". Like a refresh token, it can only be made with the server's secret, so the database
// holds nothing that opens a link, and a mail that is sent again has the same one.

const linkPrefix = "ll_"

// ErrInvalidLink says that the token of a link is wrong, has expired, was used or revoked.
var ErrInvalidLink = errors.New("the link or code is wrong, has expired or was used: ask for a new one")

// newLink returns the link of a mail. Its ID is that of the mail, so that a mail that is sent again has the same link.
func newLink(m *db.Mail, userID *string) *db.Link {
	id := db.LinkID + strings.TrimPrefix(m.ID, db.MailID)
	return &db.Link{ID: id, Kind: m.Kind, Email: m.Recipient, UserID: userID, CreatedAt: m.CreatedAt, ExpiresAt: m.CreatedAt.Add(mailLifetimes[m.Kind])}
}

func linkMAC(s Secret, purpose, id string) []byte {
	mac := hmac.New(sha256.New, s.Derive(purpose))
	mac.Write([]byte(id))
	return mac.Sum(nil)
}

// mintLinkToken makes the token of a link.
func mintLinkToken(s Secret, id string) string {
	return linkPrefix + strings.TrimPrefix(id, db.LinkID+"_") + "." + base64.RawURLEncoding.EncodeToString(linkMAC(s, "link", id)[:20])
}

// linkCode makes the code of a link: eight letters that are hard to confuse and form no words (RFC 8628, section 6.1),
// about 34 bits, which suffice because wrong codes are throttled and a code lives for minutes.
func linkCode(s Secret, id string) string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	code := make([]byte, 8)
	for i, b := range linkMAC(s, "link code", id)[:len(code)] {
		code[i] = letters[int(b)%len(letters)]
	}
	return string(code)
}

// linkID returns the ID of the link with the token if one of the secrets authenticates it.
func linkID(all Secrets, token string) (id string, ok bool) {
	body, isLink := strings.CutPrefix(token, linkPrefix)
	suffix, _, _ := strings.Cut(body, ".")
	id = db.LinkID + "_" + suffix
	if !isLink || len(token) > 128 || db.CheckID(db.LinkID, id) != nil {
		return "", false
	}
	return id, slices.ContainsFunc(all, func(s Secret) bool {
		return subtle.ConstantTimeCompare([]byte(token), []byte(mintLinkToken(s, id))) == 1
	})
}

// readLink returns the link with the token, if it is of one of the kinds and can be used.
func (s *Service) readLink(ctx context.Context, token string, kinds ...string) (*db.Link, error) {
	id, ok := linkID(s.secrets, strings.TrimSpace(token))
	if !ok {
		return nil, ErrInvalidLink
	}
	link, err := s.db.Link(ctx, id)
	if errors.Is(err, db.ErrNotFound) || err == nil && (!link.Live(s.timestamp()) || !slices.Contains(kinds, link.Kind)) {
		err = ErrInvalidLink
	}
	if err != nil {
		return nil, err
	}
	return link, nil
}

// useLink uses a link up, in the transaction of what it allows.
func useLink(ctx context.Context, tx *db.DB, link *db.Link, now db.Time) error {
	err := tx.UseLink(ctx, link.ID, now)
	if errors.Is(err, db.ErrNotFound) {
		err = ErrInvalidLink
	}
	return err
}
