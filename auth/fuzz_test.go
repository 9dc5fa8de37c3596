package auth_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/test/servertest"
	"github.com/latchkey/latchkey/token"
)

// What untrusted clients send must neither end the program nor pass for something that it is not.

var tokenForm = regexp.MustCompile(`^[-._0-9A-Za-z]+$`)

func FuzzAuthorizationHeader(f *testing.F) {
	for _, seed := range []string{"", "Bearer x", "token x.y-z_", "BEARER  x", "Basic YTpi", "Bearer", "Bearer \t", "Bearer x, Bearer y", "Bearer x\x00", " Bearer x", "Bearer " + strings.Repeat("x", 4097)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		text, err := token.FromHeader([]string{header})
		if _, err := token.FromHeader([]string{header, header}); err == nil {
			t.Errorf("two headers %q were read", header)
		}
		if err == nil && (len(text) > 4096 || !tokenForm.MatchString(text) || !strings.HasSuffix(header, " "+text)) {
			t.Errorf("%q was read as %q", header, text)
		}
	})
}

func FuzzAccessToken(f *testing.F) {
	fixture := onSQLite(f)
	good := fixture.login("ann").AccessToken
	g := newForge(fixture, good)
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		good, "", ".", "..", "a.b.c", parts[0] + "." + parts[1] + ".", encodeJSON(object{"alg": "none"}) + "." + parts[1] + ".", flip(good, 100), good + "=",
		g.withClaims("exp", 0), g.withHeader("crit", []string{"exp"}), g.sign("null", "null"), g.sign(g.header, "[]"), strings.Repeat(".", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		userID, _, err := fixture.VerifyAccessToken(token)
		spelling := strings.NewReplacer("\r", "", "\n", "").Replace(token) // base 64 ignores them, and no header holds them
		if err == nil && (userID != fixture.ann.ID || !strings.HasPrefix(spelling, parts[0]+"."+parts[1]+".")) {
			t.Errorf("%q stands for %s", token, userID)
		}
		if err != nil && !is[*auth.UnauthenticatedError](err) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

func FuzzRefreshToken(f *testing.F) {
	id := db.NewID(db.SessionID)
	good := auth.MintRefreshToken(secrets[0], id, 1)
	for _, seed := range []string{good, "", "lr_", "lr_..", flip(good, 5), good + "A", strings.Replace(good, ".1.", ".01.", 1), strings.Replace(good, ".1.", ".+1.", 1), strings.ToUpper(good)} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, token string, generation int) {
		sessionID, read, ok := auth.ReadRefreshToken(secrets, token)
		if ok && auth.MintRefreshToken(secrets[0], sessionID, read) != token {
			t.Errorf("%q was read, and not minted", token)
		}
		minted := auth.MintRefreshToken(secrets[0], id, generation)
		if sessionID, read, ok := auth.ReadRefreshToken(secrets, minted); !ok || sessionID != id || read != generation {
			t.Errorf("%q was minted for %s, %d, and read as %s, %d, %t", minted, id, generation, sessionID, read, ok)
		}
		if _, _, ok := auth.ReadRefreshToken(mustSecrets(strings.Repeat("otherkey", 5)), minted); ok {
			t.Error("another secret reads it")
		}
	})
}

func FuzzPasswordHash(f *testing.F) {
	for _, seed := range []string{
		hash(), auth.PHC("x", 64, 1, 1), "", "$", "$$$$$", "$argon2id$v=19$m=1,t=1,p=1$$", "$argon2id$v=19$m=4294967295,t=1,p=1$YWJj$YWJj", "$argon2id$v=19$m=-1,t=1,p=1$YWJj$YWJj", "$2b$10$x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, phc string) {
		once, err := auth.RepeatPHC(phc)
		if err != nil {
			return
		}
		twice, err := auth.RepeatPHC(once)
		if err != nil || twice != once {
			t.Errorf("%q is written as %q, and that as %q: %v", phc, once, twice, err)
		}
	})
}

func FuzzAPIToken(f *testing.F) {
	for _, seed := range []string{"", "lk_", token.NewAPIToken(), strings.Repeat("x", 39), "lk_" + strings.Repeat("0", 36), "lk_" + strings.Repeat("é", 18)} {
		f.Add(seed, 0)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		if token.IsAPIToken(text) && (len(text) != 39 || !strings.HasPrefix(text, "lk_")) {
			t.Errorf("%q passes", text)
		}
		minted := token.NewAPIToken()
		if damaged := flip(minted, int(uint(at)%uint(len(minted)))); !token.IsAPIToken(minted) || token.IsAPIToken(damaged) {
			t.Errorf("%q does not pass, or %q does", minted, damaged)
		}
	})
}

// T280.
func FuzzPasskey(f *testing.F) {
	fixture := onSQLite(f)
	key := servertest.NewPasskey(f)
	started := must[*auth.StartPasskeyPayload](f)(fixture.StartPasskey(fixture.asUser("ann")))
	created := key.Create(started.Options)
	key.UserHandle = []byte("user_x") // that of ReadPasskey
	signed := key.Get(must[*auth.StartPasskeyPayload](f)(fixture.StartPasskeyLogin(f.Context())).Options)
	stored := must[*db.Passkey](f)(fixture.ReadPasskey(created))
	for _, seed := range []string{created, signed} {
		if _, err := fixture.ReadPasskey(seed, stored); err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
		f.Add(strings.ReplaceAll(seed, "o2NmbXRk", "o2NmbXRm"))
		f.Add(seed[:len(seed)/2])
		f.Add(strings.Repeat(seed, 20))
	}
	for _, seed := range []string{"", "{}", "null", `{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}`, `{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := fixture.ReadPasskey(text, stored)
		switch {
		case err == nil && (len(text) > 16<<10 || len(p.CredentialID) > 1364 || len(p.PublicKey) > 1366 || len(p.Transports) > 10):
			t.Errorf("%d bytes were read as %v", len(text), p)
		case err != nil && !is[*auth.InputError](err) && !errors.Is(err, auth.ErrWrongPasskey):
			t.Errorf("%q: %v", text, err)
		}
	})
}
