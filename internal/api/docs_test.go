package api_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/aispend/aispend/internal/api"
)

// docs/api.md has one heading "## METHOD /pattern" per route, with the caller
// under it, and no others.
func TestDocsListEveryRoute(t *testing.T) {
	b, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(b), "\n## ")
	heading := regexp.MustCompile("^`(GET|POST) (/[^` ]*)`")
	documented := map[string]string{}
	for _, section := range sections {
		if m := heading.FindStringSubmatch(section); m != nil {
			documented[m[1]+" "+m[2]] = section
		}
		// An alias shares the section of its route.
		for _, m := range regexp.MustCompile("Alias: `((?:GET|POST) [^`]+)`").FindAllStringSubmatch(section, -1) {
			documented[m[1]] = section
		}
	}
	if len(documented) < 5 {
		t.Fatalf("found only %d routes in docs/api.md: the test no longer understands the page", len(documented))
	}
	for _, rt := range api.Routes() {
		name := rt.Method + " " + rt.Pattern
		section, ok := documented[name]
		if !ok {
			t.Errorf("docs/api.md does not describe %s", name)
			continue
		}
		delete(documented, name)
		if !strings.Contains(section, "Who: "+string(rt.Who)) {
			t.Errorf("docs/api.md does not say of %s: \"Who: %s\"", name, rt.Who)
		}
		if !strings.Contains(section, "```") {
			t.Errorf("docs/api.md has no example for %s", name)
		}
	}
	for name := range documented {
		t.Errorf("docs/api.md describes %s, which does not exist", name)
	}
}
