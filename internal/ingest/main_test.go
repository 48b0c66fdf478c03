package ingest_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks for leaked goroutines. Each round of the property test opens a
// real store several times: 30 rounds unless -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
