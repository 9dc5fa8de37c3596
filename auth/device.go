package auth

import (
	"strings"

	"github.com/mileusna/useragent"
)

// unknownDevice is the name of a device whose User-Agent says nothing.
const unknownDevice = "unknown device"

// DeviceName returns the browser and system of a User-Agent header, such as "Firefox on Linux". Clients choose the header, and
// mails show the name: so it contains nothing but letters, digits and spaces, which no mail program takes for a link.
func DeviceName(userAgent string) string {
	ua := useragent.Parse(userAgent)
	name, system := plainWords(ua.Name), plainWords(ua.OS)
	switch {
	case name == "" && system == "":
		return unknownDevice
	case system == "":
		return name
	case name == "":
		return system
	}
	return name + " on " + system
}

// plainWords returns a short text of letters, digits and spaces, or "".
func plainWords(text string) string {
	plain := func(r rune) bool {
		return r == ' ' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if len(text) > 30 || strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return strings.TrimSpace(text)
}
