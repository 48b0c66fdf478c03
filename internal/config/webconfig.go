package config

import (
	"fmt"
	"strings"

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
	root, err := webConfig(path)
	if err != nil {
		return err
	}
	token := firstToken(c)
	if key, users := child(root, "basic_auth_users"); token != "" && users != nil && len(users.Content) > 0 {
		return &LoadError{Findings: []Finding{{
			File: path, Line: key.Line, Key: key.Value,
			Msg: "cannot be combined with " + token + ": basic authentication refuses every bearer token; " +
				"remove the users, or remove all tokens from the configuration",
		}}}
	}
	return nil
}

// WebConfigGuards reports whether a --web.config.file lets in only those it knows:
// users, or holders of a client certificate. TLS alone lets everybody in.
func WebConfigGuards(path string) bool {
	if path == "" {
		return false
	}
	root, err := webConfig(path)
	if err != nil {
		return false
	}
	if _, users := child(root, "basic_auth_users"); users != nil && len(users.Content) > 0 {
		return true
	}
	_, tls := child(root, "tls_server_config")
	_, auth := child(tls, "client_auth_type")
	return auth != nil && strings.HasPrefix(auth.Value, "Require")
}

func webConfig(path string) (*yaml.Node, error) {
	b, err := readFile(path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the web configuration: %w", err)
	}
	d := newDecoder(path, "", nil)
	root := d.document(b)
	if len(d.findings) > 0 {
		return nil, &LoadError{Findings: d.findings}
	}
	return root, nil
}

// child returns a key of a mapping with its value, or nil.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k, v := n.Content[i], n.Content[i+1]; k.Value == name {
			if v.Kind == yaml.AliasNode {
				v = v.Alias
			}
			return k, v
		}
	}
	return nil, nil
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
