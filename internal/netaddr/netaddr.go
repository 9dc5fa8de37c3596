// Package netaddr determines which network addresses belong to one client.
package netaddr

import "net/netip"

// Canonical returns the form in which addresses are compared: IPv4 not mapped into IPv6, and no zone.
func Canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Client returns the addresses of the client at a: the IPv4 address itself, or the /64 of an IPv6 address, within which a
// client can choose any address.
func Client(a netip.Addr) netip.Prefix {
	a = Canonical(a)
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}
