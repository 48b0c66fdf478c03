package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sidecarFile lies beside Badger's directory and remembers what Badger itself may
// forget: that a store was here, which one, and how many commits it had.
const sidecarFile = "STORE_ID"

type sidecar struct {
	Schema int    `json:"schema"`
	ID     string `json:"id"`
	Seq    uint64 `json:"last_commit"`
}

// readSidecar returns nil without an error if there is none.
func readSidecar(dir string) (*sidecar, error) {
	b, err := os.ReadFile(filepath.Join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the store's identity: %w", err)
	}
	var s sidecar
	if err := json.Unmarshal(b, &s); err != nil || s.ID == "" || s.Schema < 1 {
		return nil, errSidecar
	}
	return &s, nil
}

var errSidecar = errors.New("identity file is not readable")

// writeSidecar replaces the file. The content is synced before the rename, so
// that it is never empty; the rename itself is not: a power cut may bring an
// older sequence back, which is still one that the store has reached.
func writeSidecar(dir string, s sidecar) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the store's identity: %w", err)
	}
	tmp := filepath.Join(dir, sidecarFile+".tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the store's identity: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, sidecarFile))
	}
	if err != nil {
		return fmt.Errorf("writing the store's identity: %w", err)
	}
	return nil
}

// syncDir makes the directory's entries durable: once, when the store is made.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
