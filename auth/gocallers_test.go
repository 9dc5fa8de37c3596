package auth_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// The directives of the schema do not stand before programs that call this package: the actions check their caller themselves.
// T293, T294.
func TestActionsWithoutASchemaNeedARecentLoginToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		acme := auth.Provider{Name: "acme", Issuer: "https://acme.test", ClientID: "latchkey", ClientSecret: "secret"}
		f.Service = f.service(f.db, secrets, func(o *auth.Options) {
			o.MaxAuthAge, o.Providers, o.RedirectURIs = time.Hour, []auth.Provider{acme}, []string{issuer + "/callback"}
		})
		p := f.login("root")
		now := db.TimeOf(f.now())
		identity := &db.Identity{ID: db.NewID(db.IdentityID), UserID: f.root.ID, Key: "x", Provider: "acme", Issuer: "x", Subject: "x", CreatedAt: now, LastUsedAt: now}
		if err := f.db.CreateIdentity(t.Context(), identity); err != nil {
			t.Fatal(err)
		}
		_, factor := f.enrol(f.as(p.AccessToken))
		program, _ := f.apiToken(f.root, "users:read", "users:write")
		f.advance(61 * time.Minute)
		p = f.wantRefresh("an hour later", p.RefreshToken, "")
		actions := map[string]func(s *auth.Service, token string) error{
			"createApiToken": func(s *auth.Service, token string) error {
				_, _, err := s.CreateAPIToken(f.as(token), auth.CreateAPITokenInput{Name: "x"})
				return err
			},
			"setUserPassword": func(s *auth.Service, token string) error {
				_, err := s.SetUserPassword(f.as(token), f.ann.ID, "another password of ann", false)
				return err
			},
			"deleteUser":    func(s *auth.Service, token string) error { return s.DeleteUser(f.as(token), f.ben.ID) },
			"deleteAccount": func(s *auth.Service, token string) error { return s.DeleteAccount(f.as(token)) },
			"exportAccount": func(s *auth.Service, token string) error { _, err := s.ExportAccount(f.as(token)); return err },
			"changeEmail": func(s *auth.Service, token string) error {
				_, err := s.ChangeEmail(f.as(token), "root@new.example", "")
				return err
			},
			"startTotp": func(s *auth.Service, token string) error { _, err := s.StartTOTP(f.as(token), nil); return err },
			"removeFactor": func(s *auth.Service, token string) error {
				_, err := s.RemoveFactor(f.as(token), factor.ID)
				return err
			},
			"newRecoveryCodes": func(s *auth.Service, token string) error { _, err := s.NewRecoveryCodes(f.as(token)); return err },
			"resetFactors": func(s *auth.Service, token string) error {
				_, _, err := s.ResetFactors(f.as(token), f.ann.ID)
				return err
			},
			"startIdentityLink": func(s *auth.Service, token string) error {
				_, err := s.StartIdentityLink(f.as(token), auth.StartProviderLoginInput{Provider: "acme", RedirectURI: issuer + "/callback"})
				return err
			},
			"unlinkIdentity": func(s *auth.Service, token string) error {
				_, err := s.UnlinkIdentity(f.as(token), identity.ID)
				return err
			},
			"enableUser": func(s *auth.Service, token string) error { _, err := s.EnableUser(f.as(token), f.ann.ID); return err },
		}
		if _, err := f.Invitations(f.asUser("ann"), db.Page{Limit: 1}); !is[*auth.ForbiddenError](err) {
			t.Errorf("invitations: got %v", err)
		}
		for name, act := range actions {
			if err := act(f.Service, p.AccessToken); !is[*auth.ReauthenticationRequiredError](err) {
				t.Errorf("%s: got %v", name, err)
			}
			if err := act(f.Service, program); name != "enableUser" && !is[*auth.ForbiddenError](err) {
				t.Errorf("%s, by an API token: got %v", name, err)
			}
		}
	})
}
