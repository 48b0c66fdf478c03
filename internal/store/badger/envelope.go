package badger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/aispend/aispend/internal/store"
)

// Every value lies in an envelope, because Badger 4.9.6 turns damage into
// silence: a bad block reads as "not found", a bad value as an empty one
// (reliability.md 2.3).
//
//	version 1 byte · kind 1 byte · flags 1 byte · content length 4 bytes ·
//	CRC-32C 4 bytes · payload
//
// The checksum covers the key, the header before it and the payload, so that an
// intact value under a wrong key is caught too.
const (
	envelopeVersion = 1
	envelopeHeader  = 11
	flagZstd        = 1 << 0

	kindIdentity  byte = 'i'
	kindCatalogue byte = 'k'
	kindSummary   byte = 's'
	kindHead      byte = 'h'
	kindDay       byte = 'd'
	kindCounters  byte = 'c'
	kindBody      byte = 'b'
	kindPull      byte = 'l'
	kindPage      byte = 'p'
	kindEvent     byte = 'e'
)

// maxContent bounds what one envelope may claim to hold: a head of a hundred
// years of days is below it, and every chunk is far below.
const maxContent = 8 << 20

// minCompress is the content size below which compressing is not worth a frame.
const minCompress = 256

// sealer makes and opens envelopes. It is safe for concurrent use.
type sealer struct {
	enc   *zstd.Encoder
	dec   *zstd.Decoder
	table *crc32.Table
}

// newSealer allocates one encoder and one decoder of bounded memory.
func newSealer() (*sealer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("making the zstd encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxContent))
	if err != nil {
		return nil, fmt.Errorf("making the zstd decoder: %w", err)
	}
	return &sealer{enc: enc, dec: dec, table: crc32.MakeTable(crc32.Castagnoli)}, nil
}

// seal puts content into an envelope for key, compressed where that helps.
func (s *sealer) seal(key []byte, kind byte, content []byte) []byte {
	out := make([]byte, envelopeHeader, envelopeHeader+len(content)/3+64)
	out[0], out[1] = envelopeVersion, kind
	if len(content) >= minCompress {
		out = s.enc.EncodeAll(content, out)
	}
	if n := len(out) - envelopeHeader; n > 0 && n < len(content) {
		out[2] = flagZstd
	} else {
		out = append(out[:envelopeHeader], content...)
	}
	binary.BigEndian.PutUint32(out[3:], uint32(len(content)))
	binary.BigEndian.PutUint32(out[7:], s.sum(key, out))
	return out
}

func (s *sealer) sum(key, value []byte) uint32 {
	c := crc32.Update(0, s.table, key)
	c = crc32.Update(c, s.table, value[:7])
	return crc32.Update(c, s.table, value[envelopeHeader:])
}

// check verifies an envelope without opening it.
func (s *sealer) check(key []byte, kind byte, value []byte) error {
	switch {
	case len(value) < envelopeHeader:
		return fmt.Errorf("%w: value of %d bytes has no envelope", store.ErrCorrupt, len(value))
	case binary.BigEndian.Uint32(value[7:]) != s.sum(key, value):
		return fmt.Errorf("%w: checksum mismatch", store.ErrCorrupt)
	case value[0] != envelopeVersion:
		return fmt.Errorf("%w: envelope version %d", store.ErrCorrupt, value[0])
	case value[1] != kind:
		return fmt.Errorf("%w: value is of kind %q, not %q", store.ErrCorrupt, value[1], kind)
	}
	return nil
}

// unseal verifies the envelope and returns its content, which never aliases value.
func (s *sealer) unseal(key []byte, kind byte, value []byte) ([]byte, error) {
	if err := s.check(key, kind, value); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(value[3:])
	if size > maxContent {
		return nil, fmt.Errorf("%w: envelope claims %d bytes", store.ErrCorrupt, size)
	}
	content := make([]byte, 0, size)
	if value[2]&flagZstd == 0 {
		content = append(content, value[envelopeHeader:]...)
	} else {
		var err error
		if content, err = s.dec.DecodeAll(value[envelopeHeader:], content); err != nil {
			return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
	}
	if len(content) != int(size) {
		return nil, fmt.Errorf("%w: content of %d bytes, %d expected", store.ErrCorrupt, len(content), size)
	}
	return content, nil
}

// contentLen returns the content length that an envelope claims.
func contentLen(value []byte) int {
	if len(value) < envelopeHeader {
		return 0
	}
	return int(binary.BigEndian.Uint32(value[3:]))
}
