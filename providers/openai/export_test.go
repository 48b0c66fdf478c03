package openai

// ParseLineItem is parseLineItem, for tests.
func ParseLineItem(s string) (model, kind, tier string) {
	it := parseLineItem(s)
	return it.Model, it.Kind, it.Tier
}
