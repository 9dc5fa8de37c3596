package threats

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Passwords and names, T1 to T28: what threats_accounts_test.go leaves.

// Response times must not tell which accounts exist, nor which have a second factor. T12, T242.
func TestT011_TheTimeOfARefusalDoesNotTellWhetherThereIsSuchAUser(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t), expensive)
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	_, _, bob := f.Session("bob", servertest.BobPassword)
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	f.enrol(alice)
	failed := f.events(auth.EventLoginFailed)
	f.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", bob).Want("")
	f.Ask(admin, `mutation { createUser(input: {username: "without"}) { user { id } } }`).Want("") // a password
	names := []string{"alice", "bob", "without", "nobody"}
	shortest := map[string]time.Duration{} // what else the machine does only adds to them, so more tries bring them together
	tries, alike := 0, false
	for ; tries < 60 && !(alike && tries >= 9); tries++ {
		for _, name := range names { // in turn: a machine that becomes slower becomes so for all
			start := time.Now()
			password := "a wrong password"
			if name == "bob" { // is disabled: the right password must not take longer
				password = servertest.BobPassword
			}
			f.guess(fmt.Sprintf("203.0.%d.1", tries), name, password).Want("INVALID_CREDENTIALS")
			if took := time.Since(start); tries == 0 || took < shortest[name] {
				shortest[name] = took
			}
		}
		times := slices.Collect(maps.Values(shortest))
		least, most := slices.Min(times), slices.Max(times)
		alike = most <= least*3/2 || most <= least+8*time.Millisecond
	}
	if n := f.events(auth.EventLoginFailed) - failed; n != tries*len(names) { // each refusal is recorded
		t.Errorf("%d of %d refusals were recorded", n, tries*len(names))
	}
	if !alike {
		t.Errorf("the shortest times: %v", shortest)
	}
}

// T21, T27.
func TestT021_AWeakPasswordIsRefusedWithTheReasonAndAnyOtherTaken(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	n := 0
	create := func(password string) *servertest.Reply {
		n++
		return f.Ask(admin, `mutation($u: String!, $p: String!) { createUser(input: {username: $u, password: $p}) { user { id } } }`, "u", fmt.Sprintf("walter%d", n), "p", password)
	}
	for password, reason := range map[string]string{
		"": "at least 8", "seven77": "at least 8", strings.Repeat(" ", 9): "blank", "iloveyou": "common", "qwerty123": "common",
		"Football": "common", "trustno1": "common", "1q2w3e4r": "common",
		"WALTER1walter1": "account's name", "latchkey": "account's name",
	} {
		if password == "WALTER1walter1" {
			password = fmt.Sprintf("WALTER%dwalter%d", n+1, n+1)
		}
		r := create(password)
		if r.Code() != "BAD_USER_INPUT password" || !strings.Contains(r.Errors[0].Message, reason) {
			t.Errorf("%q: want %q: %s", password, reason, r.Body)
		}
	}
	for _, password := range []string{strings.Repeat("sixty ", 10), "пароль на кириллице", "🔑🐴🔋🧷🦆🌵🎷🪁", "nothing but small letters", "4815162342108", strings.Repeat("ж", 128)} {
		r := create(password)
		if r.Want(""); r.Code() == "" {
			f.guess(fmt.Sprintf("203.0.113.%d", n), fmt.Sprintf("walter%d", n), password).Want("")
		}
	}
	alice, _, id := f.Session("alice", servertest.AlicePassword) // the other ways to a password
	f.Ask(alice, `mutation($c: String!) { changePassword(input: {currentPassword: $c, newPassword: "iloveyou"}) { user { id } } }`, "c", servertest.AlicePassword).Want("BAD_USER_INPUT newPassword")
	f.Ask(admin, `mutation($id: ID!) { setUserPassword(input: {id: $id, password: "iloveyou"}) { user { id } } }`, "id", id).Want("BAD_USER_INPUT password")
}

// Keyboards differ: é is one character or two.
func TestT022_APasswordIsTheSameOnEveryKeyboard(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	_, _, id := f.Session("alice", servertest.AlicePassword)
	const composed, decomposed = "caf\u00e9 \u00fcber \ud55c", "cafe\u0301 u\u0308ber \u1112\u1161\u11ab"
	for _, c := range [][2]string{{composed, decomposed}, {decomposed, composed}} {
		f.Ask(admin, `mutation($id: ID!, $p: String!) { setUserPassword(input: {id: $id, password: $p}) { user { id } } }`, "id", id, "p", c[0]).Want("")
		f.guess("203.0.113.7", "alice", c[1]).Want("")
		f.guess("203.0.113.7", "alice", strings.ReplaceAll(c[0], "\u00e9", "e")+"e").Want("INVALID_CREDENTIALS")
	}
}

// A name that only looks like another must not open its account, nor be a second way past the limits.
func TestT024_ANameThatLooksLikeAnotherLogsNobodyIn(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for i, name := range []string{"ALICE", "Alice", "aLiCe", "Alice@EXAMPLE.com", " alice", "alice ", "alice\u00a0", "alice\t", "alice\n"} { // white space does not count
		if r := f.guess(fmt.Sprintf("203.0.113.%d", i), name, servertest.AlicePassword).Want(""); r.Text("login.user.username") != "alice" {
			t.Errorf("%q is %s", name, r.Body)
		}
	}
	for i, name := range []string{
		"ａｌｉｃｅ", "\u0430lice", "al\u0456ce", "ali\u200bce", "\u2060alice", "\ufeffalice", "\u202ealice", "\u202eecila", "al\u0131ce", "AL\u0130CE", "a\u0301lice", "alice\u00ad",
		"alice\u0301", "𝐚𝐥𝐢𝐜𝐞", "%lice", "alic_", "alice*", "'alice'", "alice@example\u3002com", "alice@example.com.", "alice@ex\u0430mple.com",
	} {
		r := f.guess(fmt.Sprintf("198.51.100.%d", i), name, servertest.AlicePassword)
		wantHarmless(t, name, r)
		if code := r.Code(); code != "INVALID_CREDENTIALS" && code != "BAD_USER_INPUT username" {
			t.Errorf("%+q: %s", name, r.Body)
		}
	}
	codes := map[string]int{}
	for i := range 20 { // spellings are not counted apart
		codes[f.guess("203.0.113.99", []string{"alice", "ALICE", "Alice", "aliCE"}[i%4], "a wrong password").Code()]++
	}
	if codes["INVALID_CREDENTIALS"] > 12 || codes["RATE_LIMITED"] < 8 {
		t.Errorf("answers to 20 guesses: %v", codes)
	}
}

// A hash from the days of slower machines becomes a hash of today when its owner comes by.
func TestT027_AnOldHashIsMadeAnewAtTheLogin(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, expensive)
		u, err := f.DB.UserByLogin(t.Context(), "alice", "")
		if err != nil {
			t.Fatal(err)
		}
		b64, salt := base64.RawStdEncoding.EncodeToString, []byte("sixteen bytes ok")
		old := fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(servertest.AlicePassword), salt, 1, 64, 1, 32)))
		u.PasswordHash = old
		if err := f.DB.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		hash := func() string {
			t.Helper()
			now, err := f.DB.UserByID(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return now.PasswordHash
		}
		f.guess("203.0.113.7", "alice", "a wrong password").Want("INVALID_CREDENTIALS")
		if got := hash(); got != old {
			t.Errorf("a wrong password made it %s", got)
		}
		f.guess("203.0.113.7", "alice", servertest.AlicePassword).Want("")
		if got := hash(); !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("the hash is %s", got)
		}
		f.guess("203.0.113.7", "alice", servertest.AlicePassword).Want("")
	})
}

// Without an administrator, no user can make one again.
func TestT028_TheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		admin, _, adminID := f.Session("admin", servertest.AdminPassword)
		const demote = `mutation($id: ID!) { updateUser(input: {id: $id, roles: [USER]}) { user { id } } }`
		const disable = `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`
		for _, act := range []string{demote, strings.Replace(demote, "[USER]", "[]", 1), disable} {
			f.Ask(admin, act, "id", adminID).Want("CONFLICT")
		}
		r := f.Ask(admin, `mutation($p: String!) { createUser(input: {username: "second", password: $p, roles: [ADMIN]}) { user { id } } }`, "p", "a password for the second").Want("")
		secondID := r.Text("createUser.user.id")
		second, _, _ := f.Session("second", "a password for the second")
		var both sync.WaitGroup // each takes the other away
		replies := make([]*servertest.Reply, 2)
		both.Go(func() { replies[0] = f.Ask(admin, disable, "id", secondID) })
		both.Go(func() { replies[1] = f.Ask(second, demote, "id", adminID) })
		both.Wait()
		if first, other := replies[0].Code(), replies[1].Code(); (first == "") == (other == "") {
			t.Errorf("want one of the two: %s %s", replies[0].Body, replies[1].Body)
		}
		left := 0
		for name, password := range map[string]string{"admin": servertest.AdminPassword, "second": "a password for the second"} {
			r := f.guess("203.0.113.7", name, password)
			if strings.Contains(r.Text("login.user.roles"), "ADMIN") {
				left++
			}
		}
		if left != 1 {
			t.Errorf("%d administrators are left", left)
		}
	})
}
