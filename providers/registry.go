package providers

// Types returns the table of providers, by the name used in the configuration.
// Adding a provider is one line here.
