package hardcap

import (
	"net/http"
	"net/netip"
)

// SetTransport makes deliveries go through rt instead of the network.
func (h *Hook) SetTransport(rt http.RoundTripper) { h.client.Transport = rt }

// Transport is what deliveries go through.
func (h *Hook) Transport() *http.Transport { return h.client.Transport.(*http.Transport) }

// CheckAddress is the check before every connection.
func CheckAddress(a netip.Addr) error { return checkAddress(a) }

// ParsePayload reads a payload and returns how many hard caps it names.
func ParsePayload(b []byte) (caps, ignored int, err error) {
	h, err := parsePayload(b)
	return len(h.list), h.ignored, err
}
