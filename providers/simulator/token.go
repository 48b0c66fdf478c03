package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"sort"
	"strings"
)

// A page token is opaque: 20 bytes in base64 with +, / and = in it, as in the
// vendor's example. It holds the day to go on with, counted from the window's
// first day, the number of the page, and a hash of the query that it is good for.
const tokenSize = 20

func encodeToken(prefix string, q hash, offset, number int) string {
	var b [tokenSize]byte
	binary.BigEndian.PutUint32(b[2:], uint32(offset))
	copy(b[6:], "\xfb\xff\xfe") // "+//+" whatever stands around it
	binary.BigEndian.PutUint16(b[9:], uint16(number))
	binary.BigEndian.PutUint64(b[11:], uint64(q))
	b[19] = 0x80
	return prefix + base64.StdEncoding.EncodeToString(b[:])
}

// decodeToken returns false for what encodeToken did not make. It does not check
// the query.
func decodeToken(prefix, token string) (q hash, offset, number int, ok bool) {
	s, found := strings.CutPrefix(token, prefix)
	b, err := base64.StdEncoding.DecodeString(s)
	if !found || err != nil || len(b) != tokenSize || string(b[6:9]) != "\xfb\xff\xfe" {
		return 0, 0, 0, false
	}
	offset = int(binary.BigEndian.Uint32(b[2:]))
	number = int(binary.BigEndian.Uint16(b[9:]))
	return hash(binary.BigEndian.Uint64(b[11:])), offset, number, true
}

// queryHash identifies a query without its page token, whatever the order of its
// parameters.
func queryHash(h hash, path string, q url.Values) hash {
	names := make([]string, 0, len(q))
	for name := range q {
		if name != "page" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	h = h.text(path)
	for _, name := range names {
		h = h.text(name)
		for _, v := range q[name] {
			h = h.text(v)
		}
	}
	return h
}
