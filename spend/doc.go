// Package spend is the vocabulary of aispend: the words every other package
// uses and nothing else. It imports no other package of this module.
//
// Money is exact. A day is a UTC civil date. A window is a half-open range of
// days. A source is one endpoint family of one provider account. A statement is
// everything one source says about one day; a later statement of the same source
// and day replaces an earlier one whole, it never adds to it.
package spend
