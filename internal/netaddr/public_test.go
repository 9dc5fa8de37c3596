package netaddr

import (
	"net/netip"
	"testing"
)

// An address that is taken for one of the Internet lets an operator's typing error, or the owner of a name, reach the
// machine, its network, or the metadata service of the cloud. T221, T224.
func TestAddressesOfThisMachineAndItsNetworkAreNotPublic(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.1.1",
		"100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.7", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
		"fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::1", "100::1",
	} {
		if Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is public", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"} {
		if !Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is not public", text)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
