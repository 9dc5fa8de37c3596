// Package netaddr says which network addresses belong to one client.
package netaddr

import "net/netip"

// Canonical returns the one form in which addresses are compared: IPv4 not mapped into IPv6, and without a zone.
func Canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Client returns the addresses of the client at a: an IPv4 address alone, and the /64 of an IPv6 address, in which a
// client chooses its address itself.
func Client(a netip.Addr) netip.Prefix {
	a = Canonical(a)
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}
