package simulator

import (
	"bytes"
	"embed"
	"net/http"
)

// bodies are error answers as they were seen or documented; docs/simulator.md
// says which wording is a guess.
//
//go:embed bodies
var bodies embed.FS

// placeholderID is the request id in Anthropic's example bodies.
const placeholderID = "req_011CEXAMPLE0000000000000000"

// stored returns an error body by provider and name ("401_invalid_key").
func stored(provider, name string) []byte {
	return must(bodies.ReadFile("bodies/" + provider + "/" + name + ".json"))
}

func withRequestID(body []byte, id string) []byte {
	return bytes.ReplaceAll(body, []byte(placeholderID), []byte(id))
}

// openAIError builds OpenAI's envelope; param and code are null when empty.
func openAIError(status int, message, param, code string) *failure {
	body := `{
  "error": {
    "message": ` + quote(message) + `,
    "type": "invalid_request_error",
    "param": ` + orNull(param) + `,
    "code": ` + orNull(code) + `
  }
}
`
	return &failure{status: status, body: []byte(body)}
}

// anthropicError builds Anthropic's envelope.
func anthropicError(status int, kind, message string) *failure {
	body := `{"type":"error","error":{"type":` + quote(kind) + `,"message":` + quote(message) +
		`},"request_id":"` + placeholderID + `"}`
	return &failure{status: status, body: []byte(body)}
}

func anthropicInvalid(message string) *failure {
	return anthropicError(http.StatusBadRequest, "invalid_request_error", message)
}
