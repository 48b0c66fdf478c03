package hardcap_test

import (
	"flag"
	"os"
	"testing"
)

// checks is how many stories TestWhateverHappens tells unless -rapid.checks says
// otherwise: each opens a store and lives through hours.
const checks = "40"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
