package netaddr

import "net/netip"

// notPublic are the networks of the IANA special-purpose registries that are not reachable over the Internet, as far as
// netip.Addr has no method for them, and the virtual address of Azure's host (168.63.129.16).
var notPublic = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "168.63.129.16/32", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: IPv4 addresses behind a translator
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Public reports whether an address is one of the Internet: not of this machine, of a private or special network, or of the
// metadata service of a cloud (169.254.169.254, fd00:ec2::254).
func Public(a netip.Addr) bool {
	a = Canonical(a)
	if nat64.Contains(a) {
		text := a.As16()
		a = netip.AddrFrom4([4]byte(text[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !globalIPv6.Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
