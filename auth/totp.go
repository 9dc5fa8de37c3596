package auth

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238 has it, and authenticator apps know nothing else; as a MAC it is not broken
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"
)

// Time-based one-time passwords (RFC 6238) with what authenticator apps take for granted: SHA-1, six digits, steps of 30
// seconds.
const (
	totpPeriod      = 30 * time.Second
	totpSecretBytes = 20 // RFC 4226, section 4, R6
	totpDigits      = 6
	totpDrift       = 1 // steps by which the user's clock may differ, either way
)

// totpStep is the number of the step at a time.
func totpStep(at time.Time) int64 { return at.Unix() / int64(totpPeriod/time.Second) }

// totpCode is the code of a step (RFC 4226, section 5.3).
func totpCode(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	truncated := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", truncated%1_000_000)
}

// matchTOTP returns the step of a code, which must be later than the last one that was used (RFC 6238, section 5.2).
func matchTOTP(secret []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	present := totpStep(now)
	for step := max(present-totpDrift, last+1); step <= present+totpDrift; step++ {
		if subtle.ConstantTimeCompare([]byte(code), []byte(totpCode(secret, step))) == 1 {
			return step, true
		}
	}
	return 0, false
}

// isTOTP reports whether a code, without spaces, has the form of a one-time password.
func isTOTP(code string) bool {
	return len(code) == totpDigits && strings.Trim(code, "0123456789") == ""
}

func totpText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// totpURI is what authenticator apps read from the QR code:
// https://github.com/google/google-authenticator/wiki/Key-Uri-Format.
func totpURI(issuer, account string, secret []byte) string {
	name := issuer
	if u, err := url.Parse(issuer); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	}
	name = strings.ReplaceAll(name, ":", "") // separates the issuer from the account
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		url.PathEscape(name), url.PathEscape(account), totpText(secret), url.PathEscape(name), totpDigits, int(totpPeriod.Seconds()))
}

// qrSVG draws a QR code of a text as a standalone SVG image.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("QR code: %w", err)
	}
	const quiet = 4 // modules around the code (ISO/IEC 18004)
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="%[2]s"/></svg>`,
		code.Size+2*quiet, path.String()), nil
}
