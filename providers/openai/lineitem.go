package openai

import "strings"

// lineItem is what a line_item says, as far as it can be told. Model is empty
// for what is no model's ("web search tool calls"): such money stays
// unattributed, it is never dropped.
type lineItem struct {
	Model string
	Kind  string // "cached input"; with everything after the first comma
	Tier  string // "priority"
}

// parseLineItem reads the free text "[tier | ]model[ modality], kind" (apis page
// 1.3). Dates stay on model names, since dated snapshots can differ in price. The
// spelling of batch is not known, so any single word may be a tier.
func parseLineItem(s string) lineItem {
	tier := ""
	if before, after, ok := strings.Cut(s, " | "); ok && before != "" && !strings.ContainsAny(before, " ,") {
		tier, s = before, after
	}
	model, kind, ok := strings.Cut(s, ",")
	if !ok {
		return lineItem{}
	}
	model = strings.TrimSpace(model)
	if i := strings.LastIndexByte(model, ' '); i > 0 {
		switch model[i+1:] {
		case "text", "audio", "image", "video":
			model = strings.TrimSpace(model[:i])
		}
	}
	if model == "" || strings.ContainsAny(model, " |") {
		return lineItem{}
	}
	return lineItem{Model: model, Kind: strings.TrimSpace(kind), Tier: tier}
}
