package auth_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

func loginError(f *fixture, name, password string) error {
	_, err := f.Login(context.Background(), auth.LoginInput{Username: name, Password: password})
	return err
}

// T12.
func TestRefusedLoginsLookAlike(t *testing.T) {
	f := onSQLite(t)
	if _, err := f.DisableUser(operator(), f.ben.ID, false); err != nil {
		t.Fatal(err)
	}
	without := must[*db.User](t)(f.CreateUser(operator(), auth.CreateUserInput{Username: "without"}))
	for name, c := range map[string][2]string{
		"unknown user": {"nobody", password}, "wrong password": {"ann", "wrong password"}, "disabled": {"ben", password},
		"disabled and wrong": {"ben", "wrong"}, "no password set": {without.Username, ""}, "empty": {"", ""}, "no password given": {"ann", ""},
		"password with a space": {"ann", password + " "}, "in capitals": {"ann", strings.ToUpper(password)}, "cut": {"ann", password[:len(password)-1]},
	} {
		err := loginError(f, c[0], c[1])
		if err != auth.ErrInvalidCredentials {
			t.Errorf("%s: got %v, want the one error", name, err)
		}
	}
}

// Response times must not tell which accounts exist.
// T11.
func TestRefusedLoginsCostTheSame(t *testing.T) {
	f := onSQLite(t)
	if _, err := f.DisableUser(operator(), f.ben.ID, false); err != nil {
		t.Fatal(err)
	}
	f.addUserWithHash("without", "")
	names := []string{"nobody", "ann", "ben", "without"}
	shortest := map[string]time.Duration{} // what else the machine does only adds to them, so more tries bring them together
	alike := false
	for tries := 0; tries < 60 && !(alike && tries >= 9); tries++ {
		for _, name := range names {
			start := time.Now()
			client := auth.Client{IP: fmt.Sprintf("203.0.113.%d", tries)} // another each time: no delays
			_, err := f.Login(auth.WithViewer(context.Background(), auth.Viewer{Client: client}), auth.LoginInput{Username: name, Password: "a wrong password"})
			if !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatal(err)
			}
			if took := time.Since(start); tries == 0 || took < shortest[name] {
				shortest[name] = took
			}
		}
		times := slices.Collect(maps.Values(shortest))
		alike = slices.Max(times) <= 2*slices.Min(times)
	}
	if !alike {
		t.Errorf("the shortest times: %v", shortest)
	}
}

func (f *fixture) addUserWithHash(name, phc string) *db.User {
	f.t.Helper()
	u := f.addUser(name, auth.RoleUser)
	u.PasswordHash = phc
	if err := f.db.SaveUser(context.Background(), u); err != nil {
		f.t.Fatal(err)
	}
	return u
}

// Keyboards differ: é is one character or two.
// T22.
func TestAPasswordIsTheSameHoweverItsCharactersAreComposed(t *testing.T) {
	f := onSQLite(t)
	for _, c := range []struct{ set, typed string }{
		{"caf\u00e9 au lait", "cafe\u0301 au lait"}, {"cafe\u0301 au lait", "caf\u00e9 au lait"}, {"a\u0323\u0302 password", "\u1ead password"},
		{"\u1100\u1161 password", "\uac00 password"}, {"ｆｕｌｌ width", "full width"},
	} {
		f.addUserWithHash(fmt.Sprintf("u%x", c.set), "")
		u := must[*db.User](t)(f.db.UserByLogin(t.Context(), fmt.Sprintf("u%x", c.set), ""))
		must[*db.User](t)(f.SetUserPassword(operator(), u.ID, c.set, false))
		if err := loginError(f, u.Username, c.typed); err != nil {
			t.Errorf("set as %+q, typed as %+q: %v", c.set, c.typed, err)
		}
	}
}

// bcrypt's limit is 72 bytes, and some frameworks cut there.
// T20.
func TestLongPasswordsDifferAtTheirEnd(t *testing.T) {
	f := onSQLite(t)
	long := strings.Repeat("0123456789abcdef", 64)
	must[*db.User](t)(f.SetUserPassword(operator(), f.ann.ID, long, false))
	for typed, want := range map[string]error{
		long: nil, long[:1023]: auth.ErrInvalidCredentials, long[:1023] + "g": auth.ErrInvalidCredentials, long[:72]: auth.ErrInvalidCredentials,
	} {
		if err := loginError(f, "ann", typed); err != want {
			t.Errorf("%d bytes: got %v, want %v", len(typed), err, want)
		}
	}
	if err := loginError(f, "ann", long+"0"); !is[*auth.InputError](err) {
		t.Errorf("1,025 bytes: %v", err)
	}
	if err := loginError(f, strings.Repeat("a", 255), "x"); !is[*auth.InputError](err) {
		t.Errorf("a user name of 255 bytes: %v", err)
	}
}

// T27.
func TestALoginHashesThePasswordAnewUnderNewParameters(t *testing.T) {
	f := onSQLite(t)
	u := f.addUserWithHash("old", auth.PHC(password, 64, 1, 2))
	loginError(f, "old", "wrong")
	if now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID)); now.PasswordHash != u.PasswordHash {
		t.Error("a wrong password changed the hash")
	}
	f.login("old")
	now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID))
	if !strings.HasPrefix(now.PasswordHash, auth.CurrentPHC()) {
		t.Errorf("the hash is %s, want %s…", now.PasswordHash, auth.CurrentPHC())
	}
	f.login("old")
	if again := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID)); again.PasswordHash != now.PasswordHash {
		t.Error("a current hash was made anew")
	}
}

func TestAHashThatCannotBeCheckedLogsNobodyIn(t *testing.T) {
	f := onSQLite(t)
	for i, phc := range []string{
		"x", password, "$", "$$$$$", "$2b$10$abcdefghijklmnopqrstuv", strings.Replace(hash(), "argon2id", "argon2i", 1), strings.Replace(hash(), "v=19", "v=16", 1),
		strings.Replace(hash(), "m=19456", "m=99999999", 1), strings.Replace(hash(), "t=2", "t=0", 1), strings.Replace(hash(), "t=2", "t=4000000000", 1),
		strings.Replace(hash(), "p=1", "p=0", 1), strings.Replace(hash(), "p=1", "p=256", 1), hash()[:strings.LastIndexByte(hash(), '$')+1], hash() + "$",
	} {
		u := f.addUserWithHash(fmt.Sprint("u", i), phc)
		if err := loginError(f, u.Username, password); err == nil || is[*auth.UnauthenticatedError](err) {
			t.Errorf("%q: %v", phc, err)
		}
	}
}

// T24.
func TestTheNameIsMatchedInAnyASCIICaseAndNoOther(t *testing.T) {
	f := onSQLite(t)
	f.addUser("kim", auth.RoleUser)
	f.addUser("alice", auth.RoleUser)
	for _, name := range []string{"ALICE", "Alice@Example.com", wide("alice"), "al\u0131ce"} {
		if err := loginError(f, name, password); (err == nil) != (name[0] == 'A') {
			t.Errorf("login as %+q: %v", name, err)
		}
	}
	for name, want := range map[string]bool{
		"alice": true, "ALICE": true, "aLiCe": true, "alice@example.com": true, "ALICE@Example.COM": true, "kim": true, "KIM": true,
		wide("alice"): false, "\u0430lice": false, "al\u0456ce": false, "al\u200bice": false, "\u200falice": false, "\u202ealice": false, "ecila\u202e": false,
		"al\u0131ce": false, "AL\u0130CE": false, "\u212aim": false, "\u212aim@example.com": false, "a\u0301lice": false, "alice\u00ad": false, "alice\x00": false,
		" alice": false, "alice ": false, "alice\n": false, "": false, "%": false, "alic_": false, "alice\xff": false, "alice@example.com ": false,
		"alice@exampl\u0435.com": false, "alice@example.com.": false, "\ufeffalice": false, "'OR''='": false, wide("KIM"): false, "\U0001d41alice": false,
	} {
		_, err := f.UserByLogin(operator(), name) // as Login does, which takes longer
		if (err == nil) != want || err != nil && !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%+q: got %v, want a login: %t", name, err, want)
		}
	}
}

// T25.
func TestNewNamesAreThoseThatAreEasyToTellApart(t *testing.T) {
	f := onSQLite(t)
	for name, want := range map[string]bool{
		"a": true, "Alice": true, "a.b_c+d-e": true, "007": true, strings.Repeat("a", 150): true, strings.Repeat("a", 151): false, "": false,
		"a b": false, "a@b": false, "a@b.de": false, "é": false, wide("a"): false, "\u0430": false, "a\u200b": false, "\u202ea": false, "\u0131": false,
		"\u212a": false, "a\x00": false, "a\n": false, "a/b": false, "a%": false, "\xff": false, "a\\": false, "\u0130": false, "<a>": false,
	} {
		checkName(t, f, "username", name, want)
	}
	for address, want := range map[string]bool{
		"a@b.de": true, "A.b+c@Sub.Example.COM": true, "a@localhost": true, "": false, "a": false, "a@": false, "@b.de": false, "a@b@c.de": false,
		"Ann <a@b.de>": false, "<a@b.de>": false, "a@b.de, c@d.de": false, " a@b.de": false, "a@b.de\n": false, "a b@c.de": false, "é@b.de": false, "a@bücher.de": false,
		"\u212a@b.de": false, "a\u200b@b.de": false, "a@b.de\x00": false, "a@b.de(comment)": false, strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 100) + "de": false,
	} {
		checkName(t, f, "email", address, want)
	}
}

func checkName(t *testing.T, f *fixture, field, text string, want bool) {
	t.Helper()
	err := auth.CheckName(field, text)
	var input *auth.InputError
	if (err == nil) != want || err != nil && (!errors.As(err, &input) || input.Field != field) {
		t.Errorf("%s %+q: got %v, want allowed: %t", field, text, err, want)
	}
}

func TestANameInUseIsRefusedHoweverItIsWritten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, c := range []struct{ username, email, field string }{
			{"ANN", "x@example.com", "username"}, {"Ann", "ann@example.com", "username"}, {"x", "ANN@Example.Com", "email"},
		} {
			_, err := f.CreateUser(operator(), auth.CreateUserInput{Username: c.username, Email: &c.email})
			var conflict *auth.ConflictError
			if !errors.As(err, &conflict) || conflict.Field != c.field && c.email != "ann@example.com" {
				t.Errorf("%s, %s: got %v, want a conflict of %s", c.username, c.email, err, c.field)
			}
		}
	})
}

// T21.
func TestPasswordPolicy(t *testing.T) {
	email, name := "alice.liddell@example.com", "Alice Liddell"
	u := &db.User{Username: "alice", Email: &email, Name: &name}
	for text, want := range map[string]string{
		"": "at least 8", "1234567": "at least 8", "pässwör": "at least 8", "e\u0301e\u0301e\u0301e\u0301e\u0301": "at least 8", "🔑🔑🔑🔑🔑🔑🔑": "at least 8",
		"        ": "blank", "\u00a0\u2003      ": "blank", "password": "common", "PASSWORD": "common", "12345678": "common", "qwertyuiop": "common", "ｐａｓｓｗｏｒｄ": "common",
		"alice!?#": "account's name", "ALICEalice": "account's name", "alice.liddell": "account's name", "alice liddell!": "account's name",
		"alice.liddell@example.com": "account's name", "latchkey1": "account's name", "LatchKey!?": "account's name",
		"x8#kQ2!p": "", "pässwörd-ß": "", "🔑🔑🔑🔑🔑🔑🔑🔑": "", "alice goes to town": "", "correct horse battery staple": "", "no capitals or digits": "",
		"          x          ": "", strings.Repeat("x1", 512): "", strings.Repeat("x1", 512) + "x": "at most 1024",
	} {
		err := auth.CheckPassword("newPassword", text, u)
		var input *auth.InputError
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (!errors.As(err, &input) || input.Field != "newPassword" || !strings.Contains(input.Message, want)):
			t.Errorf("%q: got %v, want one about %q", text, err, want)
		}
	}
}

// Each hash takes 19 MiB: a crowd must be turned away, and leave the server as it was.
// T19.
func TestACrowdOfLoginsIsTurnedAwayAndPasses(t *testing.T) {
	f := onSQLite(t)
	crowd := 3 * auth.MaxWaiting
	var limited atomic.Int32
	parallel(crowd, func(i int) {
		switch err := loginError(f, "nobody", "x"); {
		case is[*auth.RateLimitedError](err), errors.Is(err, db.ErrUnavailable): // the hasher or, on a slow machine, the database is busy
			limited.Add(1)
		case err != auth.ErrInvalidCredentials:
			t.Error(err)
		}
	})
	if n := int(limited.Load()); n < crowd/4 || n == crowd {
		t.Errorf("%d of %d were turned away", n, crowd)
	}
	f.login("ann")
}

// A stolen database or backup must not let anybody in.
// T46, T124.
func TestTheDatabaseHoldsNoSecret(t *testing.T) {
	f := onSQLite(t)
	p := f.login("ann")
	next := f.wantRefresh("refresh", p.RefreshToken, "")
	token, row := f.apiToken(f.ann)
	if !strings.HasPrefix(row.Digest, "sha256:") || len(row.Digest) != len("sha256:")+64 {
		t.Errorf("the digest is %q", row.Digest)
	}
	_, key := f.SigningKey()
	path := strings.TrimPrefix(f.url, "sqlite:")
	var stored string
	for _, file := range []string{path, path + "-wal"} {
		b := must[[]byte](t)(os.ReadFile(file))
		stored += string(b)
	}
	if !strings.Contains(stored, row.Digest) {
		t.Fatal("the test looks in the wrong place")
	}
	for what, secret := range map[string]string{
		"access token": p.AccessToken, "its signature": p.AccessToken[strings.LastIndexByte(p.AccessToken, '.')+1:], "refresh token": p.RefreshToken,
		"its MAC": p.RefreshToken[strings.LastIndexByte(p.RefreshToken, '.')+1:], "next refresh token": next.RefreshToken, "API token": token,
		"its random part": token[3:33], "password": password, "secret": "the secret of these tests", "private key": string(must[[]byte](t)(key.Bytes())),
	} {
		if strings.Contains(stored, secret) {
			t.Errorf("the %s is in the database", what)
		}
	}
}
