package threats

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Passkeys, T271 to T284.

const (
	completeByPasskey = `mutation($x: String!, $p: String!) { completeLogin(input: {challenge: $x, passkey: $p}) { accessToken user { id } } }`
	reauthByPasskey   = `mutation($w: String, $p: String) { reauthenticate(input: {password: $w, passkey: $p}) { authenticatedAt } }`
	removeOne         = `mutation($id: ID!) { removeFactor(input: {id: $id}) { factor { id } } }`

	wrongPasskey = "INVALID_CREDENTIALS passkey"
)

// creation are options to add a passkey.
func (f *front) creation(token string) string {
	f.t.Helper()
	return f.Ask(token, servertest.StartPasskey).Want("").Text("startPasskey.options")
}

// request are options to log in by a passkey alone.
func (f *front) request() string {
	f.t.Helper()
	return f.Ask("", servertest.StartPasskeyLogin).Want("").Text("startPasskeyLogin.options")
}

func (f *front) loginBy(passkey string) *servertest.Reply {
	f.t.Helper()
	return f.Ask("", servertest.LoginByPasskey, "p", passkey)
}

// second asks for the second factor of a user, and returns the challenge and the options for a passkey.
func (f *front) second(name string) (challenge, options string) {
	f.t.Helper()
	r := f.guess("127.0.0.1", name, servertest.Password(name)).Want("MFA_REQUIRED")
	return r.Extension("challenge"), r.Extension("passkeyOptions")
}

// eachWay tries a passkey as the second factor, alone, and to prove the user again in the session of a token.
func (f *front) eachWay(name, token string, get func(options string) string, want string) {
	f.t.Helper()
	challenge, options := f.second(name)
	f.Ask("", completeByPasskey, "x", challenge, "p", get(options)).Want(want)
	f.loginBy(get(f.request())).Want(want)
	options = f.Ask(token, reauthByPasskey).Want("MFA_REQUIRED").Extension("passkeyOptions")
	f.Ask(token, reauthByPasskey, "p", get(options)).Want(want)
}

// A page that looks like ours passes the challenge on, and has the victim use the passkey there. Browsers say where they are. T271.
func TestT271_APasskeyThatWasUsedOnAnotherSiteLogsNobodyIn(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		for _, origin := range []string{"https://evil.example", "http://latchkey.test", "https://latchkey.test.evil.example", "https://latchkey.test:8443", "https://www.latchkey.test", "null", "", "https://latchkey.test@evil.example"} {
			key.Origin = origin
			f.eachWay("alice", alice, key.Get, wrongPasskey)
			other := servertest.NewPasskey(t)
			other.Origin = origin
			f.Ask(alice, servertest.ConfirmPasskey, "p", other.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		}
		key.Origin = servertest.PasskeyOrigin
		f.eachWay("alice", alice, key.Get, "")
	})
}

// T272.
func TestT272_APasskeyOfAnotherDomainLogsNobodyIn(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		for _, domain := range []string{"evil.example", "test", "www.latchkey.test", "LATCHKEY.TEST"} {
			key.RPID = domain
			f.eachWay("alice", alice, key.Get, wrongPasskey)
			other := servertest.NewPasskey(t)
			other.RPID = domain
			f.Ask(alice, servertest.ConfirmPasskey, "p", other.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		}
	})
}

// Who reads what a passkey has signed must not log in by it again, nor two processes at once. T273.
func TestT273_WhatAPasskeyHasSignedLogsInOnce(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		key.Step, key.Count = 0, 0 // as passkeys that are copied to other devices do
		signed := key.Get(f.request())
		f.loginBy(signed).Want("")
		f.loginBy(signed).Want(wrongPasskey)
		challenge, options := f.second("alice")
		signed = key.Get(options)
		f.Ask("", completeByPasskey, "x", challenge, "p", signed).Want("")
		f.Ask("", completeByPasskey, "x", challenge, "p", signed).Want("BAD_USER_INPUT challenge")
		challenge, _ = f.second("alice")
		f.Ask("", completeByPasskey, "x", challenge, "p", signed).Want(wrongPasskey)

		servers := []*servertest.Server{f.Server, f.Replica()}
		signed = key.Get(f.request())
		codes := make([]string, 4)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() { codes[i] = servers[i%2].Ask("", servertest.LoginByPasskey, "p", signed).Code() })
		}
		all.Wait()
		if n := strings.Count(strings.Join(codes, ","), wrongPasskey); n != 3 {
			t.Errorf("four times at once: %q", codes)
		}

		created := servertest.NewPasskey(t)
		options = f.creation(alice)
		f.Ask(alice, servertest.ConfirmPasskey, "p", created.Create(options)).Want("")
		f.Ask(alice, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(options)).Want("BAD_USER_INPUT passkey")
	})
}

// What a victim signs for one thing must not serve for another. T274, T278.
func TestT274_AChallengeOfAPasskeyIsForOneThingOnePersonAndFiveMinutes(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		other, _, _ := f.Session("alice", servertest.AlicePassword)
		key, bobs := f.AddPasskey(alice), f.AddPasskey(bob)

		ofAlice, second := f.second("alice")
		another, _ := f.second("alice")
		ofBob, secondOfBob := f.second("bob")
		again := f.Ask(alice, reauthByPasskey).Want("MFA_REQUIRED").Extension("passkeyOptions")
		for what, options := range map[string]string{"second factor": second, "of another log-in": secondOfBob, "reauthenticate": again, "creation": f.creation(alice)} {
			if r := f.loginBy(key.Get(options)); r.Code() != wrongPasskey {
				t.Errorf("logged in alone by the challenge %s: %s", what, r.Body)
			}
		}
		f.Ask("", completeByPasskey, "x", ofAlice, "p", key.Get(f.request())).Want(wrongPasskey)
		f.Ask("", completeByPasskey, "x", another, "p", key.Get(second)).Want(wrongPasskey)
		f.Ask("", completeByPasskey, "x", ofAlice, "p", bobs.Get(second)).Want(wrongPasskey)
		f.Ask("", completeByPasskey, "x", ofBob, "p", key.Get(secondOfBob)).Want(wrongPasskey)
		f.Ask(other, reauthByPasskey, "w", servertest.AlicePassword, "p", key.Get(again)).Want(wrongPasskey)
		f.Ask(bob, reauthByPasskey, "w", servertest.BobPassword, "p", bobs.Get(again)).Want(wrongPasskey)
		f.Ask(bob, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")

		for _, damage := range []func([]byte) []byte{
			func([]byte) []byte { return nil },
			func(c []byte) []byte { return c[:len(c)-1] },
			func(c []byte) []byte { c[0]++; return c },  // a later expiry
			func(c []byte) []byte { c[10]++; return c }, // unused until now
			func(c []byte) []byte { c[43]++; return c },
			func(c []byte) []byte { return append(c, 0) },
			func([]byte) []byte { return make([]byte, 44) },
		} {
			f.loginBy(key.Get(changed(t, f.request(), damage))).Want(wrongPasskey)
		}

		late := f.request()
		f.Clock.Advance(5*time.Minute + time.Second)
		f.loginBy(key.Get(late)).Want(wrongPasskey)
		f.loginBy(key.Get(f.request())).Want("")
	})
}

// changed replaces the challenge of options.
func changed(t *testing.T, options string, change func([]byte) []byte) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		t.Fatal(err)
	}
	challenge, err := base64.RawURLEncoding.DecodeString(fmt.Sprint(o["challenge"]))
	if err != nil {
		t.Fatal(err)
	}
	o["challenge"] = base64.RawURLEncoding.EncodeToString(change(challenge))
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who has copied a security key must not come back unnoticed, and the owner must hear of it. T275.
func TestT275_ACopyOfAPasskeyIsRefusedAndReported(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		alice, _, _ := p.Session("alice", servertest.AlicePassword)
		key := p.AddPasskey(alice)
		p.box.Next("alice@example.com") // a second factor was added
		thief := key.Copy()
		p.loginBy(key.Get(p.request())).Want("")
		p.eachWay("alice", alice, func(options string) string { thief.Count = 0; return thief.Get(options) }, wrongPasskey)
		thief.Step, thief.Count = 0, 0 // it has stopped to count
		p.loginBy(thief.Get(p.request())).Want(wrongPasskey)
		unknown := servertest.NewPasskey(t)
		for range 40 { // which are limited
			p.loginBy(unknown.Get(p.request()))
		}
		p.loginBy(unknown.Get(p.request())).Want("RATE_LIMITED")
		p.loginBy(thief.Get(p.request())).Want(wrongPasskey)
		if n := p.events(auth.EventFactorCloned); n != 5 {
			t.Errorf("%d events of five attempts", n)
		}
		if mail := p.box.Next("alice@example.com"); !strings.Contains(mail.Text, "the passkey Passkey was refused, because there may be a copy of it") {
			t.Errorf("mail: %s", mail.Text)
		}
		for range 20 {
			p.loginBy(thief.Get(p.request())).Want(wrongPasskey)
		}
		p.Quiet()
		if n := len(p.box.All("alice@example.com")); n > 8 {
			t.Errorf("%d mails", n)
		}
		p.loginBy(key.Get(p.request())).Want("")
	}, func(s *servertest.Settings) { s.Accounts.LoginAlerts = false })
}

// T276.
func TestT276_APasskeyOfOneUserIsNotThatOfAnother(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		bob, _, bobID := f.Session("bob", servertest.BobPassword)
		key := f.AddPasskey(alice)
		copied := key.Copy()
		f.Ask(bob, servertest.ConfirmPasskey, "p", copied.Create(f.creation(bob))).Want("CONFLICT passkey")
		f.Ask(alice, servertest.ConfirmPasskey, "p", key.Create(f.creation(alice))).Want("CONFLICT passkey")
		if n := len(f.Ask(bob, factors).Want("").Get("me.factors").([]any)); n != 0 {
			t.Errorf("bob has %d factors", n)
		}
		f.loginBy(copied.Get(f.request())).Want(wrongPasskey) // with bob's user handle
		if got := f.loginBy(key.Get(f.request())).Want("").Text("loginByPasskey.user.id"); got != aliceID {
			t.Errorf("logged in as %s", got)
		}
		bobs := f.AddPasskey(bob)
		bobs.UserHandle = []byte(aliceID)
		f.loginBy(bobs.Get(f.request())).Want(wrongPasskey)
		bobs.UserHandle = nil
		f.loginBy(bobs.Get(f.request())).Want(wrongPasskey)
		forged := servertest.NewPasskey(t) // alice's ID of the credential, with another key
		forged.ID, forged.UserHandle = key.ID, []byte(aliceID)
		f.eachWay("alice", alice, forged.Get, wrongPasskey)
		bobs.UserHandle = []byte(bobID)
		f.loginBy(bobs.Get(f.request())).Want("")
	})
}

// Who has stolen a security key does not know its PIN; malware on a computer cannot touch it. T277.
func TestT277_APasskeyAloneNeedsItsUserAndEachNeedsATouch(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		key.Flags = servertest.UserPresent
		f.loginBy(key.Get(f.request())).Want(wrongPasskey)
		options := f.Ask(alice, reauthByPasskey).Extension("passkeyOptions")
		f.Ask(alice, reauthByPasskey, "p", key.Get(options)).Want(wrongPasskey)
		options = f.Ask(alice, reauthByPasskey, "w", servertest.AlicePassword).Want("MFA_REQUIRED").Extension("passkeyOptions")
		f.Ask(alice, reauthByPasskey, "p", key.Get(options)).Want(wrongPasskey)
		f.Refresh(refresh).Want("")

		key.Flags = servertest.UserVerified
		f.eachWay("alice", alice, key.Get, wrongPasskey)
		untouched := servertest.NewPasskey(t)
		untouched.Flags = servertest.UserVerified
		f.Ask(alice, servertest.ConfirmPasskey, "p", untouched.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		withoutPIN := servertest.NewPasskey(t)
		withoutPIN.Flags = servertest.UserPresent
		f.Ask(bob, servertest.ConfirmPasskey, "p", withoutPIN.Create(f.creation(bob))).Want("")
		withoutPIN.Flags = servertest.UserPresent | servertest.UserVerified // its thief has set a PIN
		f.loginBy(withoutPIN.Get(f.request())).Want(wrongPasskey)
		options = f.Ask(bob, reauthByPasskey).Extension("passkeyOptions")
		f.Ask(bob, reauthByPasskey, "p", withoutPIN.Get(options)).Want(wrongPasskey)
		options = f.Ask(bob, reauthByPasskey, "w", servertest.BobPassword).Want("MFA_REQUIRED").Extension("passkeyOptions")
		f.Ask(bob, reauthByPasskey, "w", servertest.BobPassword, "p", withoutPIN.Get(options)).Want("") // its owner has, with the password
		f.loginBy(withoutPIN.Get(f.request())).Want("")

		key.Flags = servertest.UserPresent | servertest.UserVerified | servertest.BackedUp // a passkey that cannot be copied was
		f.loginBy(key.Get(f.request())).Want(wrongPasskey)
	})
}

// The thief of an access token must not add a passkey of their own, which would outlive the token. T278.
func TestT278_AStolenSessionAddsNoPasskey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, func(s *servertest.Settings) {
			s.MaxAuthAge, s.RefreshIdle, s.SessionMax = time.Hour, 5*time.Hour, 9*time.Hour
		})
		alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
		token, _ := f.NewAPIToken(alice)
		f.Ask(token, servertest.StartPasskey).Want("FORBIDDEN")
		f.Ask(token, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(f.creation(alice))).Want("FORBIDDEN")
		other, _, _ := f.Session("alice", servertest.AlicePassword) // from before the second factor
		f.Ask(other, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		begun := f.creation(other)
		f.AddPasskey(alice)
		f.Ask(other, servertest.StartPasskey).Want("MFA_REQUIRED")
		f.Ask(other, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(begun)).Want("MFA_REQUIRED")
		begun = f.creation(alice)
		f.Clock.Advance(61 * time.Minute)
		alice = f.Refresh(refresh).Want("").Text("refresh.accessToken")
		f.Ask(alice, servertest.StartPasskey).Want("REAUTHENTICATION_REQUIRED")
		f.Ask(alice, servertest.ConfirmPasskey, "p", servertest.NewPasskey(t).Create(begun)).Want("REAUTHENTICATION_REQUIRED")
		if r := f.Ask(alice, factors).Want(""); r.Get("me.factors.1") != nil {
			t.Errorf("factors: %s", r.Body)
		}
	})
}

// What a page has had signed for one purpose, such as a registration, must not pass for the other. T279.
func TestT279_ARegistrationIsNoLoginNorTheOtherWay(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		for _, kind := range []string{"webauthn.create", "payment.get", "webauthn.Get", " "} {
			key.Type = kind
			f.eachWay("alice", alice, key.Get, wrongPasskey)
		}
		for _, kind := range []string{"webauthn.get", "payment.create", " "} {
			other := servertest.NewPasskey(t)
			other.Type = kind
			f.Ask(alice, servertest.ConfirmPasskey, "p", other.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		}
		f.loginBy(servertest.NewPasskey(t).Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		key.Type = ""
		f.Ask(alice, servertest.ConfirmPasskey, "p", key.Get(f.request())).Want("BAD_USER_INPUT passkey")
	})
}

// T280.
func TestT280_DamagedPasskeysAreRefusedAndNoneIsTooLarge(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		signed := key.Get(f.request())
		created := servertest.NewPasskey(t).Create(f.creation(alice))
		text := func(object any) string {
			b, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		deep := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\x81", 5000)))           // arrays in arrays
		huge := base64.RawURLEncoding.EncodeToString([]byte("\x5b\x7f\xff\xff\xff\xff\xff\xff\xff")) // 8 EiB of bytes
		for _, damaged := range []string{
			"", " ", "null", "[]", "{}", "true", `"x"`, "{", strings.Repeat("[", 16<<10), strings.Repeat(" ", 16<<10) + signed, signed + "x", signed[:len(signed)-1],
			strings.Replace(signed, `"public-key"`, `"password"`, 1), strings.Replace(signed, `"rawId":"`, `"rawId":"AA`, 1), strings.Replace(signed, `"signature":"`, `"signature":"=`, 1),
			strings.Replace(created, "o2NmbXRk", "o2NmbXRm", 1), strings.Replace(created, `"attestationObject":"`, `"attestationObject":"`+deep, 1),
			text(map[string]any{"id": "AA", "rawId": "AA", "type": "public-key", "response": map[string]string{"clientDataJSON": "e30", "attestationObject": deep}}),
			text(map[string]any{"id": "AA", "rawId": "AA", "type": "public-key", "response": map[string]string{"clientDataJSON": "e30", "attestationObject": huge}}),
			text(map[string]any{"id": "AA", "rawId": "AA", "type": "public-key", "response": map[string]string{"clientDataJSON": "e30", "authenticatorData": deep, "signature": deep}}),
			text(map[string]any{"id": "AA", "rawId": "AA", "type": "public-key", "response": map[string]any{"clientDataJSON": 1, "authenticatorData": []int{}, "signature": nil}}),
		} {
			for _, r := range []*servertest.Reply{
				f.loginBy(damaged), f.Ask(alice, servertest.ConfirmPasskey, "p", damaged), f.Ask(alice, reauthByPasskey, "p", damaged),
			} {
				r.Want("BAD_USER_INPUT passkey")
				wantHarmless(t, damaged[:min(len(damaged), 200)], r)
			}
		}
		large := servertest.NewPasskey(t)
		large.ID = make([]byte, 1024) // WebAuthn allows 1,023
		f.Ask(alice, servertest.ConfirmPasskey, "p", large.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		large = servertest.NewPasskey(t)
		large.Padding = 1000
		f.Ask(alice, servertest.ConfirmPasskey, "p", large.Create(f.creation(alice))).Want("BAD_USER_INPUT passkey")
		attested := servertest.NewPasskey(t)
		attested.Attestation = "tpm" // certificates and the like that nobody has asked for are not parsed
		f.Ask(alice, servertest.ConfirmPasskey, "p", attested.Create(f.creation(alice))).Want("")
		f.alive(t)
	})
}

// T281.
func TestT281_ARefusedPasskeyDoesNotTellWhetherThereIsSuchAUser(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		bob, _, bobID := f.Session("bob", servertest.BobPassword)
		key, bobs := f.AddPasskey(alice), f.AddPasskey(bob)
		f.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", bobID).Want("")
		unknown, forged := servertest.NewPasskey(t), servertest.NewPasskey(t)
		unknown.UserHandle, forged.UserHandle, forged.ID = []byte(db.NewID(db.UserID)), []byte(aliceID), key.ID
		foreign := key.Copy()
		foreign.Origin = "https://evil.example"
		answers := map[string]string{}
		failures := f.events(auth.EventLoginFailed)
		for name, p := range map[string]*servertest.Passkey{"unknown": unknown, "forged": forged, "disabled": bobs, "another site": foreign} {
			r := f.loginBy(p.Get(f.request())).Want(wrongPasskey)
			answers[r.Body] += name + " "
		}
		if len(answers) != 1 || f.events(auth.EventLoginFailed) != failures+4 {
			t.Errorf("%v, %d events", answers, f.events(auth.EventLoginFailed)-failures)
		}

		// Each refusal is an event: a client must not fill the audit log, nor keep out others at its address.
		limited := 0
		for range 60 {
			if r := f.loginBy(unknown.Get(f.request())); r.Code() == "RATE_LIMITED" {
				limited++
			}
		}
		if n := f.events(auth.EventLoginFailed) - failures; n > 40 || limited < 20 {
			t.Errorf("%d events, %d limited", n, limited)
		}
		f.loginBy(key.Get(f.request())).Want("")
		f.guess("127.0.0.1", "admin", servertest.AdminPassword).Want("")
	})
}

// Who has only a passkey must not be lured, or click by mistake, into losing the account. T283.
func TestT283_ThePasskeyThatIsTheLastWayInStays(t *testing.T) {
	eachFront(t, func(t *testing.T, f *front) {
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		key := f.AddPasskey(alice)
		first := f.Ask(alice, factors).Text("me.factors.0.id")
		if _, err := f.DB.Exec(t.Context(), "test", `UPDATE users SET password_hash = '' WHERE id = $1`, aliceID); err != nil {
			t.Fatal(err)
		}
		f.Ask(alice, removeOne, "id", first).Want("CONFLICT")
		touch := servertest.NewPasskey(t) // which cannot log in alone
		touch.Flags, touch.Discoverable = servertest.UserPresent, false
		f.Ask(alice, servertest.ConfirmPasskey, "p", touch.Create(f.creation(alice))).Want("")
		f.Ask(alice, removeOne, "id", first).Want("CONFLICT")
		f.AddPasskey(alice)
		f.Ask(alice, removeOne, "id", first).Want("")
		f.loginBy(key.Get(f.request())).Want(wrongPasskey)
		if r := f.Ask(alice, factors).Want(""); r.Get("me.factors.1") == nil || r.Get("me.factors.2") != nil || r.Text("me.recoveryCodesLeft") != "10" {
			t.Errorf("factors: %s", r.Body)
		}
	})
}

// A thief who knew the password adds a passkey and changes the address, to keep the account. T284.
func TestT284_APasskeyThatAThiefAddedGoesWhenTheOwnerRestoresTheAddress(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		thief, _, _ := p.Session("alice", servertest.AlicePassword)
		key := p.AddPasskey(thief)
		p.loginBy(key.Get(p.request())).Want("")
		p.Ask(thief, askChange, "e", "thief@example.org").Want("")
		p.Ask(thief, verifyAddress, "t", p.box.Next("thief@example.org").Token()).Want("")
		var token string
		for token == "" { // the mails before are about logins and the factor
			token = p.box.Next("alice@example.com").Token()
		}
		p.Ask("", undo, "t", token).Want("")
		p.loginBy(key.Get(p.request())).Want(wrongPasskey)
	})
}
