package simulator

// hash is a deterministic source of randomness: a value that is refined by what
// it is about (vendor, project, day, ...) and then read. Nothing is consumed, so
// the order of reading does not matter.
type hash uint64

func newHash(seed uint64) hash { return hash(mix(seed ^ 0x9e3779b97f4a7c15)) }

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// num refines h by a number.
func (h hash) num(n uint64) hash { return hash(mix(uint64(h) + 0x9e3779b97f4a7c15*(n+1))) }

// text refines h by a text.
func (h hash) text(s string) hash {
	for i := range len(s) {
		h = h.num(uint64(s[i]))
	}
	return h.num(uint64(len(s)))
}

// unit returns a number in [0, 1).
func (h hash) unit() float64 { return float64(uint64(h)>>11) / (1 << 53) }

func (h hash) chance(p float64) bool { return h.unit() < p }

func (h hash) below(n uint64) uint64 { return uint64(h) >> 11 % n }

// tag returns n letters and digits.
func (h hash) tag(n int) string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[h.num(uint64(i)).below(uint64(len(alphabet)))]
	}
	return string(b)
}
