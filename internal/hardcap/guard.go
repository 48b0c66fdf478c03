package hardcap

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// errForbidden: the name of the hook leads to an address that no hook has.
var errForbidden = errors.New("refused address")

// never lists where the hook may not lead, whatever the name in its URL resolves to:
// the metadata services of the clouds, which hand out credentials to whoever asks from
// inside, and what is no single machine. Private and loopback addresses are fine: the
// URL is the operator's own.
func never() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "::/128", // unspecified: connects to this machine
		"169.254.0.0/16", "fe80::/10", // link-local; metadata of AWS, Azure, GCP, DigitalOcean, OpenStack
		"fd00:ec2::/32",                                 // metadata, DNS and time of AWS over IPv6
		"fd20:ce::254/128",                              // metadata of GCP over IPv6
		"100.100.100.200/32",                            // metadata of Alibaba Cloud
		"168.63.129.16/32",                              // platform endpoint of Azure
		"192.0.0.192/32",                                // metadata of Oracle Cloud, classic
		"224.0.0.0/4", "ff00::/8", "255.255.255.255/32", // multicast, broadcast
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// checkAddress reports whether an address may be called. IPv4 inside IPv6 counts as
// what it leads to: mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96, RFC 6052) and 6to4
// (2002::/16, RFC 3056).
func checkAddress(a netip.Addr) error {
	for _, form := range []netip.Addr{a.Unmap().WithZone(""), embedded(a)} {
		if !form.IsValid() {
			continue
		}
		for _, p := range never() {
			if p.Contains(form) {
				return fmt.Errorf("%w: %s is link-local, a cloud's metadata service or no host", errForbidden, form)
			}
		}
	}
	return nil
}

// embedded returns the IPv4 address that a translated IPv6 address stands for; the
// zero Addr if it stands for none.
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() || a.Is4In6() {
		return netip.Addr{}
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a.WithZone("")):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a.WithZone("")):
		return netip.AddrFrom4([4]byte(b[2:6]))
	default:
		return netip.Addr{}
	}
}

// control is net.Dialer.Control: it sees the address that a name resolved to, just
// before the connection, so that no second look-up can give another one.
func control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", errForbidden)
	}
	return checkAddress(ap.Addr())
}
