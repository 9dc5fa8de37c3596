package verify

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/token"
)

// Neither tokens from untrusted clients nor responses of a broken or foreign server may crash the program or be
// misinterpreted.

// fuzzed allows calling other tests' helpers to create seeds. They do not fail.
var fuzzed = new(testing.T)

// lonely returns a verifier that has the key and sends no requests.
func lonely(f *testing.F, key *ecdsa.PrivateKey) *Verifier {
	f.Helper()
	v, err := New(Config{Issuer: "https://id.test", Audience: "https://notes.test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	v.keys.keys = map[string]*ecdsa.PublicKey{"key_1": &key.PublicKey}
	v.keys.tried, v.keys.pause = time.Now(), 1000*time.Hour // unknown keys are not fetched
	return v
}

func FuzzKeySet(f *testing.F) {
	key := newKey(fuzzed)
	good, err := json.Marshal(map[string]any{"keys": []token.JWK{jwkOf(fuzzed, "key_1", key)}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), "", "null", "{}", `{"keys":null}`, `{"keys":[null,{}]}`, `{"keys":{"kid":"key_1"}}`, strings.Replace(string(good), "P-256", "P-384", 1), strings.Replace(string(good), "sig", "enc", 1), strings.Replace(string(good), "key_1", "", 1),
		strings.Replace(string(good), `"x":"`, `"x":"A`, 1), `{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"","kid":"k","alg":"ES256","use":"sig"}]}`, `{"keys":[{"kty":"oct","k":"AAAA","kid":"key_1","alg":"HS256"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"k","alg":"ES256","use":"sig"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := token.ParseKeys(data)
		if (err == nil) == (len(keys) == 0) {
			t.Errorf("%q: %d keys, and %v", data, len(keys), err)
		}
		for kid, key := range keys {
			if _, err := key.Bytes(); err != nil || kid == "" || key.Params().Name != "P-256" {
				t.Errorf("%q: key %q is no point of P-256: %v", data, kid, err)
			}
		}
	})
}

func FuzzIntrospectionAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"active":false}`, `{"active":true,"sub":"` + user + `","scope":"users:read","exp":1900000000,"iss":"https://id.test","aud":"https://notes.test","token_type":"Bearer"}`, `{"active":true}`, `{}`, `null`, ``, `[]`, `{"active":"true"}`, `{"active":1}`,
		`{"active":true,"sub":"` + session + `"}`, `{"active":true,"sub":"` + user + `","aud":["https://other.test"]}`, `{"active":true,"sub":"` + user + `","aud":{"a":1}}`, `{"active":true,"sub":"` + user + `","exp":1e400}`, `{"active":true,"active":false,"sub":"` + user + `"}`,
		`{"active":true,"sub":"` + user + `","iss":"https://evil.test"}`, `{"active":true,"sub":"` + user + `","token_type":"mac"}`, `{"active":true,"sub":"` + user + `","exp":-1}`, `{"ACTIVE":true,"SUB":"` + user + `"}`,
	} {
		f.Add([]byte(seed))
	}
	v := lonely(f, newKey(fuzzed))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := v.parseAnswer(data)
		if err != nil {
			if a.viewer != nil || a.err != nil {
				t.Errorf("%q: no answer (%v), and one: %+v", data, err, a)
			}
			return
		}
		var refused *UnauthenticatedError
		if (a.viewer == nil) == (a.err == nil) || a.err != nil && !errors.As(a.err, &refused) {
			t.Fatalf("%q: neither a viewer nor a refusal, or both: %+v", data, a)
		}
		if a.viewer != nil && (!token.IsID("user", a.viewer.UserID) || !strings.Contains(strings.ToLower(string(data)), "active")) {
			t.Errorf("%q logs in %+v", data, a.viewer)
		}
	})
}

func FuzzToken(f *testing.F) {
	key := newKey(fuzzed)
	good := sign(fuzzed, key, "https://id.test", nil, change{"aud": "https://notes.test"})
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		good, "", ".", "..", "...", "a.b.c", parts[0] + "." + parts[1] + ".", "." + parts[1] + "." + parts[2], good + "=", good + ".", strings.Replace(good, ".", "..", 1), parts[1] + "." + parts[0] + "." + parts[2], strings.ToUpper(good), "lk_" + good, strings.Repeat("a.", 50),
		sign(fuzzed, newKey(fuzzed), "https://id.test", nil, nil), sign(fuzzed, key, "https://id.test", change{"crit": []string{"exp"}}, nil),
	} {
		f.Add(seed)
	}
	v := lonely(f, key)
	f.Fuzz(func(t *testing.T, text string) {
		viewer, err := v.Verify(t.Context(), text)
		if err == nil && (viewer.UserID != user || !strings.HasPrefix(text, parts[0]+"."+parts[1]+".")) {
			t.Errorf("%q passes for %+v", text, viewer)
		}
		var refused *UnauthenticatedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v", text, err)
		}
		if token.IsAPIToken(text) && (len(text) != 39 || !strings.HasPrefix(text, token.APIPrefix)) {
			t.Errorf("%q passes for an API token", text)
		}
	})
}

// A damaged event must either end the feed, so that tokens are introspected, or revoke what it lists. It must never undo a
// revocation.
func FuzzRevocations(f *testing.F) {
	for _, seed := range [][2]string{
		{"reset", `{}`}, {"revoked", `{"sessions":[{"id":"` + session + `","until":1900000000}]}`}, {"revoked", `{"users":[{"id":"` + user + `","scope":"","until":1900000000}]}`}, {"revoked", `{"sessions":null,"users":[null]}`},
		{"alive", `x`}, {"", ``}, {"reset", `[]`}, {"revoked", `{"sessions":{}}`}, {"revoked", `{"sessions":[{"id":7}]}`}, {"REVOKED", `{}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, data string) {
		if name == "reset" || name == "complete" {
			return // "reset" replaces all revocations
		}
		fd := newFeed(nil, nil, time.Now, func(func(string) bool) {})
		fd.sessions[session] = 1 << 40
		_, err := fd.apply(event{name, data}, false)
		if _, held := fd.sessions[session]; !held {
			t.Errorf("%q %q gives a session back", name, data)
		}
		if err == nil && name == "revoked" && !json.Valid([]byte(data)) {
			t.Errorf("%q was taken for a list of what is revoked", data)
		}
	})
}
