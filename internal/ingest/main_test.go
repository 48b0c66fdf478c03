package ingest_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks for leaked goroutines. Each round of the property test opens a
// real store several times: 30 rounds unless -rapid.checks says otherwise. The tests
// wait for the disk more than they compute: eight at once unless -parallel says otherwise.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "30", "test.parallel": "8"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
