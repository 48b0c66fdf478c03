package simulator

import "github.com/aispend/aispend/spend"

func (a anthropicAPI) costRows(q anthropicQuery, d spend.Day) []wireRow {
	all := a.world.AnthropicCost(d, a.world.Now())
	if !q.grouped("workspace_id") || !q.grouped("description") {
		all = sumReportRows(all, q)
	}
	rows := make([]wireRow, 0, len(all))
	for _, r := range all {
		only := func(dimension, v string) string {
			if !q.grouped(dimension) {
				return "null"
			}
			return orNull(v)
		}
		rows = append(rows, wireRow{
			model: r.Model, money: true, value: r.Literal, currency: `"USD"`,
			fields: []field{
				{"workspace_id", only("workspace_id", r.Project)},
				{"description", only("description", r.Item)},
				{"cost_type", only("description", r.costType)},
				{"context_window", only("description", r.context)},
				{"model", only("description", r.Model)},
				{"service_tier", only("description", r.tier)},
				{"token_type", only("description", r.tokenType)},
				{"inference_geo", only("description", r.geo)},
			},
		})
	}
	return rows
}

// sumReportRows adds up rows that are alike in what the query groups by.
func sumReportRows(rows []Row, q anthropicQuery) []Row {
	type key struct{ workspace, item, model, context, tier, geo string }
	var out []Row
	index := map[key]int{}
	for _, r := range rows {
		var k key
		if q.grouped("workspace_id") {
			k.workspace = r.Project
		}
		if q.grouped("description") {
			k = key{k.workspace, r.Item, r.Model, r.context, r.tier, r.geo}
		}
		i, ok := index[k]
		if !ok {
			index[k] = len(out)
			out = append(out, r)
			continue
		}
		out[i].Amount = out[i].Amount.Add(r.Amount)
		out[i].Literal = quote(out[i].Amount.Shift(2).String())
	}
	return out
}

// anthropicUsage is one row of usage_report/messages.
type anthropicUsage struct {
	workspace, key, model, tier, context, geo string

	in, write5m, write1h, cached, out, searches int64
}

func (a anthropicAPI) usageRows(q anthropicQuery, d spend.Day) []wireRow {
	var sums []anthropicUsage
	index := map[anthropicUsage]int{}
	for _, wk := range a.world.day(a.world.vendors[Anthropic], d, a.world.Now()) {
		context := contextOf(wk.lane)
		if !wk.counted() || !q.keepsLane(wk.lane, context) {
			continue
		}
		k := q.usageKey(wk.lane, context)
		i, ok := index[k]
		if !ok {
			i = len(sums)
			index[k] = i
			sums = append(sums, k)
		}
		s := &sums[i]
		s.in, s.cached, s.out = s.in+wk.in, s.cached+wk.cached, s.out+wk.out
		s.write5m, s.write1h = s.write5m+wk.write5m, s.write1h+wk.write1h
		s.searches += wk.requests / 50
	}
	rows := make([]wireRow, 0, len(sums))
	for _, s := range sums {
		rows = append(rows, wireRow{model: s.model, fields: s.fields(q)})
	}
	return rows
}

func contextOf(l *lane) string {
	if l.long {
		return "200k-1M"
	}
	return "0-200k"
}

func (q anthropicQuery) keepsLane(l *lane, context string) bool {
	return q.keeps("workspace_ids", l.proj.id) && q.keeps("models", l.model.name) &&
		q.keeps("service_tiers", l.tier) && q.keeps("context_window", context) &&
		q.keeps("inference_geos", l.geo) && q.keeps("api_key_ids", l.key)
}

func (q anthropicQuery) usageKey(l *lane, context string) anthropicUsage {
	var k anthropicUsage
	for _, g := range q.groups {
		switch g {
		case "workspace_id":
			k.workspace = l.proj.id
		case "api_key_id":
			k.key = l.key
		case "model":
			k.model = l.model.name
		case "service_tier":
			k.tier = l.tier
		case "context_window":
			k.context = context
		case "inference_geo":
			k.geo = l.geo
		}
	}
	return k
}

func (s anthropicUsage) fields(q anthropicQuery) []field {
	fields := []field{
		{"account_id", "null"},
		{"uncached_input_tokens", itoa(s.in)},
		{"cache_creation", `{"ephemeral_1h_input_tokens": ` + itoa(s.write1h) +
			`, "ephemeral_5m_input_tokens": ` + itoa(s.write5m) + `}`},
		{"cache_read_input_tokens", itoa(s.cached)},
		{"output_tokens", itoa(s.out)},
		{"server_tool_use", `{"web_search_requests": ` + itoa(s.searches) + `}`},
		{"api_key_id", orNull(s.key)},
		{"workspace_id", orNull(s.workspace)},
		{"model", orNull(s.model)},
		{"service_tier", orNull(s.tier)},
		{"context_window", orNull(s.context)},
		{"inference_geo", orNull(s.geo)},
		{"service_account_id", "null"},
	}
	if q.grouped("speed") {
		fields = append(fields, field{"speed", `"standard"`})
	}
	return fields
}
