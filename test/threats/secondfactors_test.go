package threats

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Second factors at the login, T231 to T243.

const (
	startTOTP      = `mutation { startTotp { secret uri qrCode expiresAt } }`
	confirmTOTP    = `mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id kind name createdAt lastUsedAt } recoveryCodes } }`
	completeLogin  = `mutation($x: String!, $c: String!) { completeLogin(input: {challenge: $x, code: $c}) { accessToken refreshToken user { id } } }`
	reauthenticate = `mutation($p: String!, $c: String) { reauthenticate(input: {password: $p, code: $c}) { authenticatedAt } }`
	factors        = `{ me { factors { id kind name } recoveryCodesLeft } }`
)

// A totpApp is an authenticator app of a user.
type totpApp struct {
	f        *front
	secret   string
	factorID string
	recovery []string
}

// enrol gives the user of a token a second factor.
func (f *front) enrol(token string) *totpApp {
	f.t.Helper()
	a := &totpApp{f: f, secret: f.Ask(token, startTOTP).Want("").Text("startTotp.secret")}
	r := f.Ask(token, confirmTOTP, "c", a.code(0)).Want("")
	a.factorID = r.Text("confirmTotp.factor.id")
	codes, _ := r.Get("confirmTotp.recoveryCodes").([]any)
	for _, code := range codes {
		a.recovery = append(a.recovery, fmt.Sprint(code))
	}
	return a
}

// code is that of the present time step, or of one before or after.
func (a *totpApp) code(steps int) string {
	return servertest.TOTP(a.f.t, a.secret, a.f.Clock.Now().Add(time.Duration(steps)*30*time.Second))
}

// next waits for the next time step and returns its code.
func (a *totpApp) next() string {
	a.f.Clock.Advance(30 * time.Second)
	return a.code(0)
}

// wrong returns n different codes that are wrong now.
func (a *totpApp) wrong(n int) (codes []string) {
	for i := 0; len(codes) < n; i++ {
		code := fmt.Sprintf("%06d", i*7919%1_000_000)
		if code != a.code(-1) && code != a.code(0) && code != a.code(1) {
			codes = append(codes, code)
		}
	}
	return codes
}

// challenge logs in a user with a second factor as far as the password goes.
func (f *front) challenge(name string) string {
	f.t.Helper()
	return f.challengeFrom("127.0.0.1", name)
}

func (f *front) challengeFrom(ip, name string) string {
	f.t.Helper()
	r := f.guess(ip, name, servertest.Password(name)).Want("MFA_REQUIRED")
	return fmt.Sprint(r.Errors[0].Extensions["challenge"])
}

// claimOf is a claim of an access token.
func claimOf(t *testing.T, token, name string) any {
	t.Helper()
	return claimsOf(t, token)[name]
}

func eachFront(t *testing.T, test func(t *testing.T, f *front)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, startFrontWithUsers(t, url)) })
}

// A code that was read over a shoulder must not log in a second time. T231.
func TestT231_ACodeIsUsedOnce(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		enrolled := a.code(0)
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", enrolled).Want("INVALID_CREDENTIALS code")
		code := a.next()
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", code).Want("")
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", code).Want("INVALID_CREDENTIALS code")
	})
}

// Two processes that receive one code at the same time open one session. T231.
func TestT231_ACodeIsUsedOnceByTwoProcessesAtOnce(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		servers := []*servertest.Server{f.Server, f.Replica()}
		challenges := []string{f.challenge("alice"), f.challenge("alice"), f.challenge("alice"), f.challenge("alice")}
		code := a.next()
		opened := make([]string, len(challenges))
		var all sync.WaitGroup
		for i, challenge := range challenges {
			all.Go(func() { opened[i] = servers[i%2].Ask("", completeLogin, "x", challenge, "c", code).Code() })
		}
		all.Wait()
		if n := strings.Count(strings.Join(opened, ",")+",", "INVALID_CREDENTIALS code,"); n != len(challenges)-1 {
			t.Errorf("one code used four times: %q", opened)
		}
	})
}

// T232.
func TestT232_NoCodeOlderThanTheLastUsedAndNoneOfAnotherTimePasses(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	a := f.enrol(alice)
	f.Clock.Advance(5 * time.Minute)
	try := func(steps int, want string) {
		t.Helper()
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", a.code(steps)).Want(want)
	}
	try(-2, "INVALID_CREDENTIALS code")
	try(2, "INVALID_CREDENTIALS code")
	try(1, "") // the clock of the telephone is ahead
	try(0, "INVALID_CREDENTIALS code")
	try(1, "INVALID_CREDENTIALS code")
	f.Clock.Advance(2 * time.Minute)
	try(-1, "") // behind
	try(-1, "INVALID_CREDENTIALS code")
	f.Clock.Advance(2 * time.Minute)
	code := a.code(0)
	f.Ask("", completeLogin, "x", f.challenge("alice"), "c", " "+code[:3]+" "+code[3:]+" ").Want("") // as apps show it
}

// Who knows the password must not find the six digits by trying. T233.
func TestT233_GuessingSixDigitsIsHopeless(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		tried := 0
		for i := range 25 { // from as many addresses, with a new challenge for each code
			ip := fmt.Sprintf("203.0.113.%d", i)
			r := f.from(ip, "", completeLogin, "x", f.challengeFrom(ip, "alice"), "c", a.wrong(1)[0])
			if r.Code() == "INVALID_CREDENTIALS code" {
				tried++
			} else if r.Want("RATE_LIMITED"); r.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if tried < 3 || tried > 12 {
			t.Errorf("%d codes were tried", tried)
		}
		if n := f.events(auth.EventSecondFactorFailed); n != tried {
			t.Errorf("%d events of %d wrong codes", n, tried)
		}
		for hour := range 24 {
			f.Clock.Advance(time.Hour)
			for i := range 3 {
				ip := fmt.Sprintf("198.51.%d.%d", 100+hour, i)
				if f.from(ip, "", completeLogin, "x", f.challengeFrom(ip, "alice"), "c", a.wrong(1)[0]).Code() == "INVALID_CREDENTIALS code" {
					tried++
				}
			}
		}
		if tried > 45 { // 3 of 1,000,000 are right: 1.4 in 10,000
			t.Errorf("%d codes were tried in a day", tried)
		}
	})
}

// T233.
func TestT233_AChallengeIsVoidAfterFiveCodes(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		f.Clock.Advance(time.Minute)
		challenge := f.challenge("alice")
		for _, code := range append(a.wrong(3), "no-such-code", strings.Repeat("x", 20)) {
			f.Ask("", completeLogin, "x", challenge, "c", code).Want("INVALID_CREDENTIALS code")
		}
		f.Ask("", completeLogin, "x", challenge, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		f.Ask("", completeLogin, "x", challenge, "c", a.recovery[0]).Want("BAD_USER_INPUT challenge")
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", a.code(0)).Want("")
	})
}

// Guesses by others must not keep the owner out. T234.
func TestT234_GuessesDoNotLockTheOwnerOut(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		f.from("192.0.2.1", "", completeLogin, "x", f.challengeFrom("192.0.2.1", "alice"), "c", a.next()).Want("")
		f.Clock.Advance(30 * time.Second)
		for i := range 20 {
			ip := fmt.Sprintf("203.0.113.%d", i)
			f.from(ip, "", completeLogin, "x", f.challengeFrom(ip, "alice"), "c", a.wrong(1)[0])
		}
		f.from("203.0.113.99", "", completeLogin, "x", f.challengeFrom("203.0.113.99", "alice"), "c", a.code(0)).Want("RATE_LIMITED")
		f.from("192.0.2.1", "", completeLogin, "x", f.challengeFrom("192.0.2.1", "alice"), "c", a.code(0)).Want("")           // where the owner has been
		f.from("203.0.113.99", "", completeLogin, "x", f.challengeFrom("203.0.113.99", "alice"), "c", a.recovery[0]).Want("") // anywhere
		f.Ask(alice, factors).Want("")
	})
}

// T235.
func TestT235_ARecoveryCodeIsUsedOnceAndNotGuessed(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		a, b := f.enrol(alice), f.enrol(bob)
		if len(a.recovery) != 10 || len(a.recovery[0]) != 19 || a.recovery[0] == a.recovery[1] {
			t.Fatalf("recovery codes: %q", a.recovery)
		}
		for _, code := range []string{b.recovery[0], "", "0000-0000-0000-0000", a.recovery[0][:18], a.recovery[0] + "0", strings.Repeat("0", 2000)} {
			want := "INVALID_CREDENTIALS code"
			if code == "" || len(code) == 2000 {
				want = "BAD_USER_INPUT code"
			}
			f.Ask("", completeLogin, "x", f.challenge("alice"), "c", code).Want(want)
		}
		typed := strings.ToUpper(strings.ReplaceAll(a.recovery[0], "-", " "))
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", typed).Want("")
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", a.recovery[0]).Want("INVALID_CREDENTIALS code")
		other := f.Replica()
		challenges := []string{f.challenge("alice"), f.challenge("alice"), f.challenge("alice"), f.challenge("alice")}
		var all sync.WaitGroup
		codes := make([]string, len(challenges))
		for i, challenge := range challenges {
			all.Go(func() {
				codes[i] = []*servertest.Server{f.Server, other}[i%2].Ask("", completeLogin, "x", challenge, "c", a.recovery[1]).Code()
			})
		}
		all.Wait()
		if n := strings.Count(strings.Join(codes, ","), "INVALID_CREDENTIALS"); n != 3 {
			t.Errorf("one recovery code used four times: %q", codes)
		}
		if left := f.Ask(alice, factors).Text("me.recoveryCodesLeft"); left != "8" {
			t.Errorf("%s codes are left", left)
		}
		if n := f.events(auth.EventRecoveryCodeUsed); n != 2 {
			t.Errorf("%d events of two codes", n)
		}
	})
}

// T236.
func TestT236_AChallengeOpensOneSession(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		challenge := f.challenge("alice")
		f.Ask("", completeLogin, "x", challenge, "c", a.next()).Want("")
		f.Ask("", completeLogin, "x", challenge, "c", a.next()).Want("BAD_USER_INPUT challenge")
		challenge = f.challenge("alice")
		codes := make([]string, 4)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() { codes[i] = f.Ask("", completeLogin, "x", challenge, "c", a.recovery[i]).Code() })
		}
		all.Wait()
		if n := strings.Count(strings.Join(codes, ",")+",", "BAD_USER_INPUT challenge,"); n != 3 {
			t.Errorf("one challenge with four codes: %q", codes)
		}
		if left := f.Ask(alice, factors).Text("me.recoveryCodesLeft"); left != "9" {
			t.Errorf("%s codes are left: what did not log in must not use them up", left)
		}
	})
}

// T237.
func TestT237_AChallengeIsThatOfOneUser(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
	bob, _, _ := f.Session("bob", servertest.BobPassword)
	a, b := f.enrol(alice), f.enrol(bob)
	f.Clock.Advance(30 * time.Second)
	ofAlice, ofBob := f.challenge("alice"), f.challenge("bob")
	f.Ask("", completeLogin, "x", ofAlice, "c", b.code(0)).Want("INVALID_CREDENTIALS code")
	bodyOfAlice, _, _ := strings.Cut(ofAlice, ".")
	_, macOfBob, _ := strings.Cut(ofBob, ".")
	for _, forged := range []string{
		bodyOfAlice + "." + macOfBob, bodyOfAlice, bodyOfAlice + ".", ofAlice + "A", ofAlice[:len(ofAlice)-1], "x" + ofAlice, strings.ToUpper(ofAlice),
		strings.TrimPrefix(ofAlice, "lc_"), "", "lc_", aliceID, alice, strings.Repeat("lc_", 1000), "lc_\x00", ofAlice + "\n",
	} {
		r := f.Ask("", completeLogin, "x", forged, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		wantHarmless(t, forged, r)
	}
	if got := f.Ask("", completeLogin, "x", ofAlice, "c", a.code(0)).Want("").Text("completeLogin.user.id"); got != aliceID {
		t.Errorf("logged in as %s", got)
	}
	f.Ask("", completeLogin, "x", ofBob, "c", b.code(0)).Want("")
}

// T238.
func TestT238_AChallengeEndsWithItsTimeItsPasswordAndItsUser(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		alice, _, id := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		old := f.challenge("alice")
		f.Clock.Advance(5*time.Minute + time.Second)
		f.Ask("", completeLogin, "x", old, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		before := f.challenge("alice")
		f.Ask(alice, `mutation($o: String!, $n: String!) { changePassword(input: {currentPassword: $o, newPassword: $n}) { user { id } } }`,
			"o", servertest.AlicePassword, "n", "another password of hers").Want("")
		f.Ask("", completeLogin, "x", before, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		f.Ask(admin, `mutation($id: ID!, $p: String!) { setUserPassword(input: {id: $id, password: $p}) { user { id } } }`, "id", id, "p", servertest.AlicePassword).Want("")
		f.Ask("", completeLogin, "x", before, "c", a.code(0)).Want("BAD_USER_INPUT challenge") // the same password, hashed anew
		disabled := f.challenge("alice")
		f.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
		f.Ask("", completeLogin, "x", disabled, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("INVALID_CREDENTIALS")
		f.Ask(admin, `mutation($id: ID!) { enableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
		reset := f.challenge("alice")
		f.Ask(admin, `mutation($id: ID!) { resetFactors(input: {id: $id}) { removedFactors } }`, "id", id).Want("")
		f.Ask("", completeLogin, "x", reset, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("")
	})
}

// T239.
func TestT239_AChallengeIsNoToken(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
	a := f.enrol(alice)
	f.Clock.Advance(30 * time.Second)
	challenge := f.challenge("alice")
	f.Ask(challenge, `{ me { id } }`).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(challenge).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(strings.Replace(challenge, "lc_", "lr_", 1)).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(challenge + "." + challenge).Want("UNAUTHENTICATED MALFORMED")
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	service, _ := f.NewAPIToken(admin, "tokens:introspect")
	header := map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + service}}
	if r := f.Send("POST", "/oauth/introspect", header, "token="+challenge); strings.TrimSpace(r.Body) != `{"active":false}` {
		t.Errorf("introspected: %s", r.Body)
	}
	f.Ask("", completeLogin, "x", refresh, "c", a.code(0)).Want("BAD_USER_INPUT challenge")
	f.Ask("", completeLogin, "x", challenge, "c", a.code(0)).Want("")
}

// T240.
func TestT240_NoOtherWayLeadsPastTheSecondFactor(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
		token, _ := f.NewAPIToken(alice)
		f.enrol(alice)
		for _, name := range []string{"alice", " Alice ", "alice@example.com"} {
			r := f.guess("127.0.0.1", name, servertest.AlicePassword).Want("MFA_REQUIRED")
			if strings.Contains(r.Body, "eyJ") || strings.Contains(r.Body, "lr_") {
				t.Errorf("a token before the second factor: %s", r.Body)
			}
		}
		// A session from before stays what it was: it has proved a second factor only where that was done.
		_, other, _ := f.Session("bob", servertest.BobPassword)
		for want, token := range map[string]string{"aal2": refresh, "aal1": other} {
			access := f.Refresh(token).Want("").Text("refresh.accessToken")
			if got := claimOf(t, access, "acr"); got != want {
				t.Errorf("after refresh: acr %v, want %v", got, want)
			}
		}
		f.Ask(token, startTOTP).Want("FORBIDDEN")
		f.Ask(token, `mutation { newRecoveryCodes { recoveryCodes } }`).Want("FORBIDDEN")
		f.Ask(token, reauthenticate, "p", servertest.AlicePassword).Want("FORBIDDEN")
	})
}

// The session that was open before, or that an attacker planted, is not the one that the second factor opens. T241.
func TestT241_TheSecondFactorOpensANewSession(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	bob, _, bobID := f.Session("bob", servertest.BobPassword)
	a := f.enrol(alice)
	r := f.Ask(bob, completeLogin, "x", f.challenge("alice"), "c", a.next()).Want("")
	before, after := claimOf(t, alice, "sid"), claimOf(t, r.Text("completeLogin.accessToken"), "sid")
	if before == after || after == claimOf(t, bob, "sid") {
		t.Errorf("session %v after %v", after, before)
	}
	if got := f.Ask(bob, `{ me { id } }`).Text("me.id"); got != bobID {
		t.Errorf("bob's session is that of %s", got)
	}
	if amr := fmt.Sprint(claimOf(t, r.Text("completeLogin.accessToken"), "amr")); amr != "[pwd otp mfa]" {
		t.Errorf("amr %s", amr)
	}
}

// Before the password is right, nothing tells whether the account has a second factor. T242.
func TestT242_AWrongPasswordDoesNotTellWhoHasASecondFactor(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, id := f.Session("alice", servertest.AlicePassword)
	bob, _, _ := f.Session("bob", servertest.BobPassword)
	f.enrol(alice)
	var bodies []string
	for _, name := range []string{"alice", "bob", "nobody"} {
		bodies = append(bodies, f.guess("127.0.0.1", name, "a wrong password").Want("INVALID_CREDENTIALS").Body)
	}
	if bodies[0] != bodies[1] || bodies[0] != bodies[2] {
		t.Errorf("refusals differ: %q", bodies)
	}
	f.Ask(bob, `query($id: ID!) { node(id: $id) { ... on User { factors { id } recoveryCodesLeft } } }`, "id", id).Want("NOT_FOUND")
	f.Ask(bob, `mutation($id: ID!) { removeFactor(input: {id: $id}) { factor { id } } }`, "id", id).Want("BAD_USER_INPUT id")
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	if kinds := f.Ask(admin, `query($id: ID!) { user(id: $id) { factors { kind } } }`, "id", id).Want("").Texts("user.factors", "kind"); len(kinds) != 1 || kinds[0] != "TOTP" {
		t.Errorf("an administrator sees %v", kinds)
	}
}
