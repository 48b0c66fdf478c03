package vertex_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aispend/aispend/providers/vertex"
	"github.com/aispend/aispend/spend"
)

const (
	vertexAI  = "C7E2-9256-1C43"
	geminiAPI = "AEFD-7695-64FA"
)

func mapper(t testing.TB) *vertex.Mapper {
	t.Helper()
	m, err := vertex.NewMapper(vertex.Mapping{Rules: vertex.DefaultRules()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func selector(t testing.TB) *vertex.Selector {
	t.Helper()
	s, err := vertex.NewSelector(vertex.DefaultSelection())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serviceID is the id of a service of the fixtures; those of Claude are not known.
func serviceID(name string) string {
	switch name {
	case "Vertex AI":
		return vertexAI
	case "Gemini API":
		return geminiAPI
	}
	return "SYN0-0000-0000"
}

func TestSKUCasesOfTheFixtures(t *testing.T) {
	b, err := os.ReadFile("testdata/export/sku_model_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Service, SKU string
			SKUID        *string `json:"sku_id"`
			Model        *string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 54 {
		t.Fatalf("%d cases instead of 54", len(file.Cases))
	}
	m, sel := mapper(t), selector(t)
	for _, c := range file.Cases {
		k := vertex.SKU{ServiceID: serviceID(c.Service), Service: c.Service, Text: c.SKU}
		if got, want := sel.Selects(k), c.Model != nil; got != want {
			t.Errorf("%s | %s: selected %v, want %v", c.Service, c.SKU, got, want)
		}
		if c.Model == nil {
			continue
		}
		if got := m.Model(k); got != *c.Model {
			t.Errorf("%s | %s: model %s, want %s", c.Service, c.SKU, got, *c.Model)
		}
	}
}

// The names here are in no fixture: they are made from the shapes of the real ones.
func TestModelsOfNamesThatNobodyHasSeen(t *testing.T) {
	const garden = "Cloud Vertex AI Model Garden Model as a Service "
	tests := []struct{ service, sku, want string }{
		// Versions to come, in every spelling.
		{"Vertex AI", "Gemini 3.9 Flash Text Input - Predictions", "gemini-3.9-flash"},
		{"Vertex AI", "Gemini 4 Pro Global Text Output - Batch Predictions", "gemini-4-pro"},
		{"Vertex AI", "Gemini 4.10 Pro GA Thinking Text Output - Predictions", "gemini-4.10-pro"},
		{"Vertex AI", "Gemini 12.3 Flash Lite GA Input Text Caching", "gemini-12.3-flash-lite"},
		{"Vertex AI", "  Gemini 3.9 Flash GA Input Text Caching ", "gemini-3.9-flash"},
		{"Vertex AI", "\u00a0Gemini 3.9 Pro Caching Storage", "gemini-3.9-pro"},
		{"Vertex AI", "Gemini 4 Ultra Lite Text Input - Predictions", "gemini-4-ultra-lite"},
		{"Vertex AI", "Gemini 4 Nano Text Input (Long) - Predictions", "gemini-4-nano"},
		{"Vertex AI", "Gemini 1.5 Flash-8B Text Input - Predictions", "gemini-1.5-flash-8b"},
		{"Gemini API", "Generate_content_text_input_token_count_for_gemini_4_1_flash_lite_flex", "gemini-4.1-flash-lite"},
		{"Gemini API", "Generate_content text output token count for gemini-4-pro batch", "gemini-4-pro"},
		{"Gemini API", "GENERATE CONTENT INPUT TOKEN COUNT GEMINI 3.9 FLASH", "gemini-3.9-flash"},
		{"Gemini API", "GenerateContent text input token count for Gemini 3.9 Flash\u2013Lite", "gemini-3.9-flash-lite"},
		// Neighbours must not swallow each other.
		{"Gemini API", "Generate_content text input token count for gemini 3.1 flash lite", "gemini-3.1-flash-lite"},
		{"Gemini API", "Generate_content text input token count for gemini 3.1 flash", "gemini-3.1-flash"},
		{"Vertex AI", "Gemini 2.5 Pro GA Text Input - Predictions", "gemini-2.5-pro"},
		{"Vertex AI", "Gemini 2.5 Flash Literal Text Input", "gemini-2.5-flash"},
		{"Vertex AI", "Gemini 2.5 Prophet Text Input", "other"},
		// Image as a model and as a modality.
		{"Vertex AI", "Gemini 4 Flash Image Image Output - Predictions", "gemini-4-flash-image"},
		{"Vertex AI", "Gemini 4 Flash Lite Image Text Input - Predictions", "gemini-4-flash-lite-image"},
		{"Vertex AI", "Gemini 4 Pro Native Image Image Output - Predictions", "gemini-4-pro-image"},
		{"Vertex AI", "Gemini 4 Flash Image Input - Predictions", "gemini-4-flash"},
		{"Vertex AI", "Gemini 4 Flash Image Input Caching Storage", "gemini-4-flash"},
		{"Vertex AI", "Gemini 4 Flash GA Image Output - Predictions", "gemini-4-flash"},
		{"Gemini API", "Generate_content image output token count for gemini-4-flash-image", "gemini-4-flash-image"},
		{"Gemini API", "Generate_content image output token count for gemini 4.2 pro image batch", "gemini-4.2-pro-image"},
		{"Gemini API", "Generate_content_image_input_token_count_gemini_4_pro_short_image", "gemini-4-pro"},
		{"Gemini API", "Generate content input token count gemini 4 flash image flex", "gemini-4-flash"},
		{"Gemini API", "Generate_content image input token count for gemini 4 flash", "gemini-4-flash"},
		// Claude: the service is the model, the SKU may spell it in another way.
		{"Claude Opus 5", "Claude Opus 5 — Input Tokens — global — Context Window Size from 0 to 200000 Tokens", "claude-opus-5"},
		{"Claude Opus 5", "Claude Opus 5 — 1 hour Cache Write Tokens", "claude-opus-5"},
		{"Claude Opus 5.1", "Claude Opus 5 1 – Batch Output Tokens – us-east5", "claude-opus-5-1"},
		{"Claude Opus 4.10", "Claude Opus 4 10 — Output Tokens — europe-west1", "claude-opus-4-10"},
		{"Claude Fable 6", "Input Tokens", "claude-fable-6"},
		{"Claude Sonnet 4", "Claude Sonnet 4 20250514 Input Tokens", "claude-sonnet-4"},
		{"Claude 3.7 Sonnet", "Claude 3 7 Sonnet Input Tokens", "claude-3-7-sonnet"},
		{"Claude 3 Opus", "Claude 3 Opus Output Tokens", "claude-3-opus"},
		{"Claude 2.1", "Claude 2.1 Input Tokens", "claude-2-1"},
		{"Claude 2", "Input Tokens", "claude-2"},
		{"Vertex AI Search", "AI Dev Tools: Claude Opus 5 Output Tokens", "claude-opus-5"},
		{"Vertex AI Search", "AI Dev Tools: Claude 3.5 Haiku Output Tokens", "claude-3-5-haiku"},
		{"Vertex AI", garden + "Claude Sonnet 4.5 Input Tokens", "claude-sonnet-4-5"},
		// Models of others.
		{"Vertex AI", garden + "Llama 5 Maverick Output tokens", "llama-5-maverick"},
		{"Vertex AI", garden + "Kimi-K2-Thinking Batch Cached Text Input Tokens", "kimi-k2-thinking"},
		{"Vertex AI", garden + "gpt-oss-120b Output Token - global", "gpt-oss-120b"},
		{"Vertex AI", "Mistral Medium 3 Input Token", "mistral-medium-3"},
		{"Vertex AI", "Jamba 1.5 Large Batch Output Tokens", "jamba-1.5-large"},
		{"Vertex AI", "Cached Text Input Tokens", "other"},
		{"Vertex AI", "Batch Output Token", "other"},
		{"Vertex AI", garden + "Text Input Token", "other"},
		{"Gemini API", "Generate_content output tokens", "other"},
		{"Vertex AI", "Vertex AI: Tuning input tokens", "other"},
		// Media.
		{"Vertex AI", "Veo 4 Fast Generation 1080p with Audio", "veo-4-fast"},
		{"Vertex AI", "Veo 3.1 Generation 4k", "veo-3.1"},
		{"Vertex AI", "Veo Lite Generation 720p", "veo-lite"},
		{"Vertex AI", "Veo 1080p", "veo"},
		{"Vertex AI", "Imagen 5 Ultra Generation", "imagen-5-ultra"},
		{"Vertex AI", "Lyria 2 Music Generation", "lyria-2"},
		{"Vertex AI", "Chirp 3 Transcription", "chirp-3"},
		{"Vertex AI", "Imagenet Training", "other"},
		// Search, embeddings and the rest.
		{"Vertex AI", "Grounding with Google Search on Gemini 4", "gemini-grounding"},
		{"Gemini API", "Number of queries with web grounding", "other"},
		{"Gemini API", "EmbedContent input token count for gemini-embedding-003", "gemini-embedding-003"},
		{"Vertex AI", "Text Embedding 006 input", "text-embedding-006"},
		{"Vertex AI", "Vertex AI: Training A100", "other"},
		{"Vertex AI", "", "other"},
		{"", "—", "other"},
	}
	m := mapper(t)
	for _, tt := range tests {
		k := vertex.SKU{ServiceID: serviceID(tt.service), Service: tt.service, ID: "0000-0000-0000", Text: tt.sku}
		if got := m.Model(k); got != tt.want {
			t.Errorf("%s | %s: model %s, want %s", tt.service, tt.sku, got, tt.want)
		}
	}
}

func TestSelectionTakesNoStrangers(t *testing.T) {
	tests := []struct {
		k    vertex.SKU
		want bool
	}{
		{vertex.SKU{ServiceID: vertexAI, Service: "Gemini Enterprise Agent Platform"}, true}, // renamed
		{vertex.SKU{ServiceID: "X", Service: "Claude Opus 5"}, true},
		{vertex.SKU{ServiceID: "X", Service: "Claude 3.5 Sonnet"}, true},
		{vertex.SKU{ServiceID: "X", Service: "Vertex AI Search", Text: " AI Dev Tools: Claude Opus 5 Input Tokens"}, true},
		{vertex.SKU{ServiceID: "X", Service: "Vertex AI Search", Text: "Vertex AI Search: Enterprise Edition"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Acme Claude Desk Booking", Text: "Acme seat"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Claude's Bakery Suite 2", Text: "Seat"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Claude for Retail", Text: "Seat"}, false},
		{vertex.SKU{ServiceID: "X", Service: "claude 3 Haiku clone", Text: "Seat"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Jean Claude 3", Text: "Seat"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Cloud Storage", Text: "not AI Dev Tools: x"}, false},
		{vertex.SKU{ServiceID: "X", Service: "Vertex AI"}, false}, // another service of this name
		{vertex.SKU{}, false},
	}
	s := selector(t)
	for _, tt := range tests {
		if got := s.Selects(tt.k); got != tt.want {
			t.Errorf("%+v: selected %v, want %v", tt.k, got, tt.want)
		}
	}
}

func TestSelectionIsData(t *testing.T) {
	s, err := vertex.NewSelector(vertex.Selection{ServiceIDs: []string{"E4EE-DF31-DCDA"}, SKUPrefixes: []string{"A.I."}})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Selects(vertex.SKU{ServiceID: "E4EE-DF31-DCDA"}) || !s.Selects(vertex.SKU{Text: "A.I. rows"}) {
		t.Error("the configured service or prefix is not selected")
	}
	if s.Selects(vertex.SKU{ServiceID: vertexAI, Service: "Claude Opus 5"}) || s.Selects(vertex.SKU{Text: "AxIx"}) {
		t.Error("a default, or a prefix read as a pattern, is selected")
	}
	for name, bad := range map[string]vertex.Selection{
		"nothing":       {},
		"no expression": {ServicePattern: "("},
		"everything":    {ServicePattern: "x*"},
		"empty prefix":  {SKUPrefixes: []string{""}},
		"empty id":      {ServiceIDs: []string{""}},
	} {
		if _, err := vertex.NewSelector(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOverrideComesFirstAndRulesInOrder(t *testing.T) {
	m, err := vertex.NewMapper(vertex.Mapping{
		Override: map[string]string{"AAAA-BBBB-CCCC": "house model\n"},
		Rules: append([]vertex.Rule{{Pattern: `^veo fast\b`, Model: "veo-3.1-fast"}, {Pattern: `^blank`, Model: "$1-"}},
			vertex.DefaultRules()...),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		k    vertex.SKU
		want string
	}{
		{vertex.SKU{ID: "AAAA-BBBB-CCCC", Text: "Gemini 3 Flash"}, "house model"},
		{vertex.SKU{ID: "AAAA-BBBB-CCCD", Text: "Gemini 3 Flash"}, "gemini-3-flash"},
		{vertex.SKU{Text: "Veo Fast Generation"}, "veo-3.1-fast"},
		{vertex.SKU{Text: "Blank"}, "other"}, // a rule that names nothing says nothing
	} {
		if got := m.Model(tt.k); got != tt.want {
			t.Errorf("%+v: model %q, want %q", tt.k, got, tt.want)
		}
	}
	for _, bad := range []vertex.Mapping{
		{Rules: []vertex.Rule{{Pattern: "("}}},
		{Override: map[string]string{"A": " "}},
		{Override: map[string]string{"": "x"}},
	} {
		if _, err := vertex.NewMapper(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// checkMapping holds for every name whatever.
func checkMapping(t interface{ Fatalf(string, ...any) }, m *vertex.Mapper, k vertex.SKU) {
	model := m.Model(k)
	if label, changed := spend.CleanLabel(model); changed || label == "" {
		t.Fatalf("%+v: model %q is no label", k, model)
	}
	if again := m.Model(k); again != model {
		t.Fatalf("%+v: model %q, then %q", k, model, again)
	}
	text := vertex.Normalise(k)
	same := vertex.SKU{ServiceID: k.ServiceID, ID: k.ID, Text: text}
	if again := vertex.Normalise(same); again != text {
		t.Fatalf("%+v: normalised to %q, then to %q", k, text, again)
	}
	if again := m.Model(same); again != model {
		t.Fatalf("%+v: model %q, but %q of the normalised text", k, model, again)
	}
}

func TestMappingIsTotal(t *testing.T) {
	m := mapper(t)
	word := rapid.SampledFrom(strings.Fields("Gemini gemini_3 3.1 4 Flash Pro-Lite Image image Text Input Output Tokens " +
		"token count for Claude Opus 4.8 — – - _ Veo Imagen 2.5 Grounding Embedding 001 Batch Cached \u00a0 . .. İ \xff"))
	any := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 0, 9).Draw(t, "words"), rapid.SampledFrom([]string{" ", "_", "-"}).Draw(t, "sep"))
	}))
	rapid.Check(t, func(t *rapid.T) {
		checkMapping(t, m, vertex.SKU{Service: any.Draw(t, "service"), Text: any.Draw(t, "sku")})
	})
}

func FuzzModel(f *testing.F) {
	f.Add("Claude Opus 4.6", "Claude Opus 4 6 — Input Tokens — global")
	f.Add("Vertex AI", "Gemini 3.1 Flash Image Image Output - Predictions")
	f.Add("Vertex AI", "Cloud Vertex AI Model Garden Model as a Service DeepSeek-V3.1 Cached Text Input Token")
	m := mapper(f)
	f.Fuzz(func(t *testing.T, service, sku string) {
		checkMapping(t, m, vertex.SKU{Service: service, Text: sku})
	})
}
