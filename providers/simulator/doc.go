// Package simulator serves fake OpenAI and Anthropic admin APIs that behave like
// the real ones as far as the real ones are known: authentication, parameter
// checks with the vendors' own error bodies, page tokens bound to their query,
// exact and awkward decimals, days that grow and are restated. `aispend demo`
// runs the normal daemon against it, and tests compare the daemon with its ground
// truth digit for digit and inject every fault of the fault table.
//
// Everything is a pure function of the seed, the day and the time of reading, so
// the order and number of requests change nothing. docs/simulator.md says what is
// imitated on which evidence and what is a guess.
package simulator
