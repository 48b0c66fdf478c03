package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// CheckWebConfig refuses a --web.config.file (exporter-toolkit's) whose
// basic_auth_users would answer every bearer token with 401. TLS and client
// certificates combine freely with tokens. An empty path is fine. The rest of the
// file is exporter-toolkit's business.
func CheckWebConfig(path string, c *Config) error {
	if path == "" {
		return nil
	}
	b, err := readFile(path, maxFileBytes)
	if err != nil {
		return fmt.Errorf("reading the web configuration: %w", err)
	}
	d := newDecoder(path, "", nil)
	root := d.document(b)
	if len(d.findings) > 0 {
		return &LoadError{Findings: d.findings}
	}
	token := firstToken(c)
	if root == nil || token == "" {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		if k.Value == "basic_auth_users" && len(v.Content) > 0 {
			return &LoadError{Findings: []Finding{{
				File: path, Line: k.Line, Key: k.Value,
				Msg: "cannot be combined with " + token + ": basic authentication refuses every bearer token; " +
					"remove the users, or remove all tokens from the configuration",
			}}}
		}
	}
	return nil
}

// firstToken names a token that is set, or returns "".
func firstToken(c *Config) string {
	switch {
	case c.Web.AdminToken.Set():
		return "web.admin_token"
	case c.Web.ReadToken.Set():
		return "web.read_token"
	case c.HardCap.InboundToken.Set():
		return "hard_cap.inbound_token"
	default:
		return ""
	}
}
