package simulator

import "github.com/aispend/aispend/spend"

// openAIUsage is one row of usage/completions or usage/embeddings.
type openAIUsage struct {
	project, key, model, tier string
	audio                     bool

	in, cached, write, out, requests int64
}

// usageRows returns the rows of a usage bucket. Completions and embeddings have
// data; the other endpoints are served with empty buckets. For images that is
// what was seen on the wire while costs billed them (API page 1.4).
func (a openAIAPI) usageRows(endpoint string, q openAIQuery, d spend.Day) []wireRow {
	var sums []openAIUsage
	index := map[openAIUsage]int{}
	for _, wk := range a.world.day(a.world.vendors[OpenAI], d, a.world.Now()) {
		l, m := wk.lane, wk.lane.model
		wanted := endpoint == "completions" && wk.counted() || endpoint == "embeddings" && m.kind == embedding
		if !wanted || wk.zero || !q.keeps("project_ids", l.proj.id) || !q.keeps("models", m.name) ||
			!q.keeps("api_key_ids", l.key) || !keepsBatch(q, l.tier) {
			continue
		}
		k := q.usageKey(wk)
		i, ok := index[k]
		if !ok {
			i = len(sums)
			index[k] = i
			sums = append(sums, k)
		}
		s := &sums[i]
		s.in, s.cached, s.write = s.in+wk.in, s.cached+wk.cached, s.write+wk.write5m
		s.out, s.requests = s.out+wk.out, s.requests+wk.requests
	}
	rows := make([]wireRow, 0, len(sums))
	for _, s := range sums {
		rows = append(rows, wireRow{model: s.model, fields: q.usageFields(endpoint, s)})
	}
	return rows
}

func keepsBatch(q openAIQuery, tier string) bool {
	switch q.values.Get("batch") {
	case "true":
		return tier == "batch"
	case "false":
		return tier != "batch"
	default:
		return true
	}
}

// usageKey returns the grouped dimensions of a row.
func (q openAIQuery) usageKey(wk work) openAIUsage {
	var k openAIUsage
	if q.grouped("project_id") {
		k.project = wk.lane.proj.id
	}
	if q.grouped("api_key_id") {
		k.key = wk.lane.key
	}
	if q.grouped("model") {
		k.model = wk.lane.model.name
		k.audio = wk.lane.model.kind == audio
	}
	if q.grouped("batch") || q.grouped("service_tier") {
		k.tier = wk.lane.tier
	}
	return k
}

func (q openAIQuery) usageFields(endpoint string, s openAIUsage) []field {
	if endpoint == "embeddings" {
		return append([]field{
			{"object", `"organization.usage.embeddings.result"`},
			{"input_tokens", itoa(s.in)},
			{"num_model_requests", itoa(s.requests)},
		}, q.usageDimensions(s)...)
	}
	textIn, audioIn, textOut, audioOut := s.in, int64(0), s.out, int64(0)
	if s.audio {
		textIn, audioIn, textOut, audioOut = 0, s.in, 0, s.out
	}
	fields := []field{
		{"object", `"organization.usage.completions.result"`},
		{"input_tokens", itoa(s.in + s.cached + s.write)},
		{"input_cached_tokens", itoa(s.cached)},
		{"input_cache_write_tokens", itoa(s.write)},
		{"input_uncached_tokens", itoa(s.in)},
		{"output_tokens", itoa(s.out)},
		{"input_text_tokens", itoa(textIn)},
		{"output_text_tokens", itoa(textOut)},
		{"input_cached_text_tokens", itoa(s.cached)},
		{"input_audio_tokens", itoa(audioIn)},
		{"input_cached_audio_tokens", "0"},
		{"output_audio_tokens", itoa(audioOut)},
		{"input_image_tokens", "0"},
		{"input_cached_image_tokens", "0"},
		{"output_image_tokens", "0"},
		{"num_model_requests", itoa(s.requests)},
	}
	fields = append(fields, q.usageDimensions(s)...)
	batch, tier := "null", "null"
	if q.grouped("batch") {
		batch = "false"
		if s.tier == "batch" {
			batch = "true"
		}
	}
	if q.grouped("service_tier") && s.tier != "batch" {
		tier = orNull(s.tier)
	}
	return append(fields, field{"batch", batch}, field{"service_tier", tier})
}

func (q openAIQuery) usageDimensions(s openAIUsage) []field {
	return []field{
		{"project_id", orNull(s.project)},
		{"user_id", "null"},
		{"api_key_id", orNull(s.key)},
		{"model", orNull(s.model)},
	}
}
