package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// PasskeyOrigin is the page where the authenticators of NewPasskey are used. PasskeyDomain is the relying party of tests.
const PasskeyOrigin, PasskeyDomain = "https://latchkey.test", "latchkey.test"

// The flags of authenticator data (WebAuthn, section 6.1).
const (
	UserPresent    = 1 << 0
	UserVerified   = 1 << 2
	BackupEligible = 1 << 3
	BackedUp       = 1 << 4
	attested       = 1 << 6
)

// A Passkey is a browser with an authenticator, in software, that has one credential. By default it does what good ones do.
type Passkey struct {
	Origin       string // of the page
	RPID         string // instead of that of the options; "" for none
	Type         string // instead of webauthn.create or webauthn.get
	Flags        byte
	Count        uint32 // of signatures; it grows by Step
	Step         uint32
	Discoverable bool
	ID           []byte
	UserHandle   []byte // of the credential's user
	Attestation  string // the format of a statement, which is empty
	Padding      int    // bytes that the public key has too many

	t   testing.TB
	key *ecdsa.PrivateKey
}

// NewPasskey returns an authenticator without a credential.
func NewPasskey(t testing.TB) *Passkey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Passkey{Origin: PasskeyOrigin, Flags: UserPresent | UserVerified, Step: 1, Discoverable: true, ID: make([]byte, 32), Attestation: "none", t: t, key: key}
	rand.Read(p.ID)
	return p
}

// The mutations of passkeys, with the variables p for the passkey, n for its name.
const (
	StartPasskey      = `mutation { startPasskey { options expiresAt } }`
	ConfirmPasskey    = `mutation($p: String!, $n: String) { confirmPasskey(input: {passkey: $p, name: $n}) { factor { id kind name createdAt lastUsedAt } recoveryCodes } }`
	StartPasskeyLogin = `mutation { startPasskeyLogin { options expiresAt } }`
	LoginByPasskey    = `mutation($p: String!) { loginByPasskey(input: {passkey: $p}) { accessToken refreshToken user { id username } } }`
)

// AddPasskey gives the caller a passkey.
func (s *Server) AddPasskey(token string) *Passkey {
	s.t.Helper()
	p := NewPasskey(s.t)
	s.Ask(token, ConfirmPasskey, "p", p.Create(s.Ask(token, StartPasskey).Want("").Text("startPasskey.options"))).Want("")
	return p
}

// LoginByPasskey logs in by a passkey alone.
func (s *Server) LoginByPasskey(p *Passkey) *Reply {
	s.t.Helper()
	return s.Ask("", LoginByPasskey, "p", p.Get(s.Ask("", StartPasskeyLogin).Want("").Text("startPasskeyLogin.options")))
}

// Extension is a member of the first error's extensions, as text.
func (r *Reply) Extension(name string) string {
	r.t.Helper()
	if len(r.Errors) == 0 {
		r.t.Fatalf("no error: %s", r.Body)
	}
	return fmt.Sprint(r.Errors[0].Extensions[name])
}

// passkeyOptions are those for create and for get.
type passkeyOptions struct {
	Challenge string
	RPID      string `json:"rpId"`
	RP        struct{ ID string }
	User      struct{ ID string }
}

// Create makes the credential for options of startPasskey, and returns JSON as PublicKeyCredential.toJSON does.
func (p *Passkey) Create(options string) string {
	p.t.Helper()
	o := p.read(options)
	p.UserHandle = p.decode(o.User.ID)
	point, err := p.key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		p.t.Fatal(err)
	}
	parts := map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]} // COSE_Key, ES256
	if p.Padding > 0 {
		parts[-70000] = make([]byte, p.Padding)
	}
	key := p.cbor(parts)
	data := p.data(o.RP.ID, p.Flags|attested)
	data = append(data, make([]byte, 16)...) // AAGUID
	data = slices.Concat(binary.BigEndian.AppendUint16(data, uint16(len(p.ID))), p.ID, key)
	object := p.cbor(map[string]any{"fmt": p.Attestation, "attStmt": map[string]any{}, "authData": data})
	return p.result(map[string]any{"credProps": map[string]bool{"rk": p.Discoverable}}, map[string]any{
		"clientDataJSON": p.clientData("webauthn.create", o.Challenge), "attestationObject": encode(object), "transports": []string{"internal", "hybrid"},
	})
}

// Get signs for options of startPasskeyLogin or of the error MFA_REQUIRED, and returns JSON as PublicKeyCredential.toJSON does.
func (p *Passkey) Get(options string) string {
	p.t.Helper()
	o := p.read(options)
	client := p.clientData("webauthn.get", o.Challenge)
	p.Count += p.Step
	data := p.data(o.RPID, p.Flags)
	hash := sha256.Sum256(p.decode(client))
	digest := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return p.result(map[string]any{}, map[string]any{
		"clientDataJSON": client, "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(p.UserHandle),
	})
}

// Copy is another authenticator with the same credential.
func (p *Passkey) Copy() *Passkey {
	other := *p
	return &other
}

func (p *Passkey) read(options string) (o passkeyOptions) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		p.t.Fatalf("options: %v: %s", err, options)
	}
	return o
}

func (p *Passkey) data(rpID string, flags byte) []byte {
	if p.RPID != "" {
		rpID = p.RPID
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), p.Count)
}

func (p *Passkey) clientData(kind, challenge string) string {
	p.t.Helper()
	if p.Type != "" {
		kind = p.Type
	}
	data, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": p.Origin, "crossOrigin": false})
	if err != nil {
		p.t.Fatal(err)
	}
	return encode(data)
}

func (p *Passkey) result(extensions, response map[string]any) string {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": encode(p.ID), "rawId": encode(p.ID), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": extensions, "response": response,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p *Passkey) cbor(v any) []byte {
	p.t.Helper()
	b, err := webauthncbor.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *Passkey) decode(text string) []byte {
	p.t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
