package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Users' second factors: enrolling, listing and removing them.

const (
	enrolmentTime     = 15 * time.Minute // between StartTOTP and ConfirmTOTP
	maxFactors        = 10               // of one user
	defaultFactorName = "Authenticator app"
)

// StartTotpPayload is what an authenticator app needs to know. It is returned once.
type StartTotpPayload struct {
	redacted
	Secret    string // base32, to be typed
	URI       string // otpauth://…, the same for apps
	QRCode    string // the URI as an SVG image
	ExpiresAt db.Time
}

// ConfirmTotpInput is a code of the app that is enrolled.
type ConfirmTotpInput struct {
	redacted
	Code string
}

// ConfirmTotpPayload is a factor that is now in force.
type ConfirmTotpPayload struct {
	redacted
	Factor        *db.Factor
	RecoveryCodes []string // empty if the user has some already
}

// NewRecoveryCodesPayload are a user's recovery codes. They are returned once.
type NewRecoveryCodesPayload struct {
	redacted
	RecoveryCodes []string
}

// mayChangeFactors returns nil if the viewer's session may add or remove factors of its user, of which there is at least
// one if has: it has proved who the user is recently, and a second factor if there is one.
func (s *Service) mayChangeFactors(ctx context.Context, tx *db.DB, userID string) (has bool, err error) {
	if err := s.recent(ctx, tx); err != nil {
		return false, err
	}
	has, err = tx.HasFactor(ctx, userID)
	if err != nil || !has {
		return has, err
	}
	session, err := tx.Session(ctx, ViewerFrom(ctx).SessionID)
	if err == nil && !slices.Contains(session.Methods, MethodMFA) {
		err = &MFARequiredError{}
	}
	return has, err
}

// StartTOTP begins to enrol an authenticator app of the viewer. It counts for nothing until ConfirmTOTP.
func (s *Service) StartTOTP(ctx context.Context, name *string) (*StartTotpPayload, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	now, secret := s.timestamp(), randomBytes(totpSecretBytes)
	f := &db.Factor{ID: db.NewID(db.FactorID), UserID: u.ID, Kind: db.FactorTOTP, Name: defaultFactorName, CreatedAt: now}
	if name != nil {
		if err := checkText("name", *name, 1, maxName); err != nil {
			return nil, err
		}
		f.Name = *name
	}
	f.Sealed = s.secrets.Seal(f.ID, secret)
	uri := totpURI(s.issuer, u.Username, secret)
	image, err := qrSVG(uri)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if _, err := s.mayChangeFactors(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		if err := hasRoom(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		return nil, errors.Join(tx.DeletePendingFactors(ctx, u.ID), tx.CreateFactor(ctx, f))
	})
	if err != nil {
		return nil, err
	}
	return &StartTotpPayload{Secret: totpText(secret), URI: uri, QRCode: image, ExpiresAt: now.Add(enrolmentTime)}, nil
}

// hasRoom returns an error if the user has as many factors as possible.
func hasRoom(ctx context.Context, d *db.DB, userID string) error {
	factors, err := d.Factors(ctx, userID)
	if err == nil && len(factors) >= maxFactors {
		err = &ConflictError{Message: fmt.Sprintf("you have %d second factors: remove one first", maxFactors)}
	}
	return err
}

// ConfirmTOTP puts the app of StartTOTP into force. Its code counts as proof of a second factor in the viewer's session. A
// user without recovery codes receives some.
func (s *Service) ConfirmTOTP(ctx context.Context, code string) (*ConfirmTotpPayload, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	guess, err := s.attemptCode(ctx, u, code)
	if err != nil {
		return nil, err
	}
	var p *ConfirmTotpPayload
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if _, err := s.mayChangeFactors(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		p, err = s.confirmTOTP(ctx, tx, u.ID, code)
		if err != nil {
			return nil, err
		}
		err = errors.Join(guess.succeeded(ctx, tx), s.notifyOf(ctx, tx, mailAccountChanged, u, "a second factor was added"))
		return s.event(ctx, EventFactorAdded, u.ID, p.Factor.ID, p.Factor.Name), err
	})
	if errors.Is(err, ErrWrongCode) {
		err = s.recordWrongCode(ctx, u, ViewerFrom(ctx).SessionID)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Service) confirmTOTP(ctx context.Context, tx *db.DB, userID, code string) (*ConfirmTotpPayload, error) {
	now := s.timestamp()
	f, err := tx.PendingFactor(ctx, userID, now.Add(-enrolmentTime))
	if err != nil {
		return nil, replaced(err, db.ErrNotFound, &ConflictError{Message: "no authenticator app waits to be confirmed: call startTotp first"})
	}
	secret, err := s.secrets.Open(f.ID, f.Sealed)
	if err != nil {
		return nil, fmt.Errorf("factor %s: %w", f.ID, err)
	}
	step, ok := matchTOTP(secret, plainCode(code), now.Time, f.LastStep)
	if !ok {
		return nil, ErrWrongCode
	}
	f.ConfirmedAt, f.LastUsedAt, f.LastStep = &now, &now, step
	if err := tx.ConfirmFactor(ctx, f.ID, step, now); err != nil {
		return nil, err
	}
	codes, err := s.factorInForce(ctx, tx, userID, codeMethods)
	return &ConfirmTotpPayload{Factor: f, RecoveryCodes: codes}, err
}

// factorInForce records in the viewer's session that a new factor was proved by the methods, and returns recovery codes if the
// user has none.
func (s *Service) factorInForce(ctx context.Context, tx *db.DB, userID string, methods []string) (codes []string, err error) {
	session, err := tx.Session(ctx, ViewerFrom(ctx).SessionID)
	if err != nil {
		return nil, err
	}
	if err := tx.AuthenticatedBy(ctx, session.ID, with(session.Methods, methods...), session.AuthenticatedAt); err != nil {
		return nil, err
	}
	left, err := tx.CountRecoveryCodes(ctx, userID)
	if err != nil || left > 0 {
		return []string{}, err
	}
	if codes, err = s.replaceRecoveryCodes(ctx, tx, userID); err != nil {
		return nil, err
	}
	return codes, s.recordIn(ctx, tx, s.event(ctx, EventRecoveryCodesCreated, userID, "", ""))
}

// NewRecoveryCodes gives the viewer new recovery codes. The earlier ones are void.
func (s *Service) NewRecoveryCodes(ctx context.Context) (*NewRecoveryCodesPayload, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	p := new(NewRecoveryCodesPayload)
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		has, err := s.mayChangeFactors(ctx, tx, u.ID)
		if err != nil {
			return nil, err
		}
		if !has {
			return nil, &ConflictError{Message: "you have no second factor: call startTotp or startPasskey first"}
		}
		p.RecoveryCodes, err = s.replaceRecoveryCodes(ctx, tx, u.ID)
		return s.event(ctx, EventRecoveryCodesCreated, u.ID, "", ""), err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// RemoveFactor removes a second factor of the viewer; with the last one go the recovery codes. The session must have proved
// a second factor. A passkey that is the last way to log in stays.
func (s *Service) RemoveFactor(ctx context.Context, id string) (removed *db.Factor, err error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	if err := db.CheckID(db.FactorID, id); err != nil {
		return nil, inputError("id", "must be the ID of a second factor")
	}
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if _, err := s.mayChangeFactors(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		factors, err := tx.Factors(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(factors, func(f *db.Factor) bool { return f.ID == id })
		if at < 0 {
			return nil, db.ErrNotFound
		}
		if len(factors) == 1 && s.rights.needMFA(u.Roles) {
			return nil, &ConflictError{Message: "your role needs a second factor: add another one first"}
		}
		removed = factors[at]
		if err := tx.DeleteFactor(ctx, u.ID, id); err != nil {
			return nil, err
		}
		if len(factors) == 1 {
			err = tx.ReplaceRecoveryCodes(ctx, u.ID, nil)
		}
		if removed.Kind == db.FactorPasskey {
			err = errors.Join(err, s.keepsWayIn(ctx, tx, u.ID))
		}
		err = errors.Join(err, s.notifyOf(ctx, tx, mailAccountChanged, u, "a second factor was removed"))
		return s.event(ctx, EventFactorRemoved, u.ID, id, removed.Name), err
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

// ResetFactors removes all second factors and recovery codes of another user, who has lost them, as an administrator. The
// user is told by mail.
func (s *Service) ResetFactors(ctx context.Context, userID string) (u *db.User, removed int, err error) {
	v := ViewerFrom(ctx)
	if err := v.noAPIToken(); err != nil {
		return nil, 0, err
	}
	if v.ID() == userID { // the thief of a session must not be able to get around removeFactor
		return nil, 0, &ForbiddenError{Message: "use removeFactor for your own second factors"}
	}
	err = s.administer(ctx, userID, func(tx *db.DB, found *db.User, _ db.Time) (*db.Event, error) {
		u = found
		if err := s.recent(ctx, tx); err != nil {
			return nil, err
		}
		if removed, err = tx.DeleteFactors(ctx, userID); err != nil {
			return nil, err
		}
		err := errors.Join(tx.ReplaceRecoveryCodes(ctx, userID, nil), tx.DeleteLoginChallenges(ctx, userID),
			s.notifyOf(ctx, tx, mailAccountChanged, found, "an administrator removed all second factors"))
		return s.event(ctx, EventFactorsReset, userID, "", fmt.Sprintf("%d second factors removed", removed)), err
	})
	return u, removed, err
}

// Factors lists a user's second factors, oldest first, if the viewer may see them.
func (s *Service) Factors(ctx context.Context, userID string) ([]*db.Factor, error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return nil, err
	}
	return s.db.Factors(ctx, userID)
}

// RecoveryCodesLeft counts a user's recovery codes, if the viewer may see them.
func (s *Service) RecoveryCodesLeft(ctx context.Context, userID string) (int, error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return 0, err
	}
	return s.db.CountRecoveryCodes(ctx, userID)
}

// resealFactors seals the secrets of factors under the first secret, and returns how many were sealed under another.
func (s *Service) resealFactors(ctx context.Context) (resealed int, err error) {
	const batch = 200
	after := ""
	for {
		factors, err := s.db.FactorsAfter(ctx, after, batch)
		if err != nil {
			return resealed, err
		}
		for _, f := range factors {
			after = f.ID
			if _, err := s.secrets[:1].Open(f.ID, f.Sealed); err == nil {
				continue
			}
			plain, err := s.secrets.Open(f.ID, f.Sealed)
			if err != nil {
				return resealed, fmt.Errorf("factor %s: %w", f.ID, err)
			}
			if err := s.db.ResealFactor(ctx, f.ID, s.secrets.Seal(f.ID, plain)); err != nil {
				return resealed, err
			}
			resealed++
		}
		if len(factors) < batch {
			return resealed, nil
		}
	}
}
