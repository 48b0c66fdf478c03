package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints sections and remembers how the targets fared.
type report struct {
	out     io.Writer
	section string
	checks  []check
}

// check is one target.
type check struct {
	section, what, got, want string
	met                      bool
}

func newReport(w io.Writer) *report { return &report{out: w} }

func (r *report) printf(format string, a ...any) { _, _ = fmt.Fprintf(r.out, format, a...) }

func (r *report) begin(section string) {
	r.section = section
	r.printf("\n== %s\n", section)
}

// note prints a line of explanation.
func (r *report) note(format string, a ...any) { r.printf("  "+format+"\n", a...) }

// table prints rows under a heading, columns aligned.
func (r *report) table(heading []string, rows [][]string) {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		_, _ = fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	_ = w.Flush() // as for Fprintln: a reader who left needs no answer
}

// atMost checks a figure against a target that it must not exceed.
func (r *report) atMost(what string, got, want float64, unit string) {
	r.check(what, got <= want, number(got)+unit, "at most "+number(want)+unit)
}

func (r *report) check(what string, met bool, got, want string) {
	c := check{r.section, what, got, want, met}
	r.checks = append(r.checks, c)
	r.printf("  %s: %s; target: %s: %s\n", c.what, c.got, c.want, c.verdict())
}

func (c check) verdict() string {
	if c.met {
		return "met"
	}
	return "MISSED"
}

func (r *report) summary(took time.Duration) {
	r.printf("\n== summary\n")
	missed := 0
	rows := make([][]string, len(r.checks))
	for i, c := range r.checks {
		rows[i] = []string{c.section, c.what, c.got, c.want, c.verdict()}
		if !c.met {
			missed++
		}
	}
	r.table([]string{"section", "figure", "measured", "target", ""}, rows)
	r.printf("  %d targets, %d met, %d MISSED; took %s; %s\n",
		len(r.checks), len(r.checks)-missed, missed, took.Round(time.Second), load())
}

// number prints a figure with about three digits.
func number(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

func millis(d time.Duration) string { return number(float64(d.Microseconds()) / 1000) }

func seconds(d time.Duration) string { return number(d.Seconds()) }

// mega prints bytes in units of a million.
func mega[T int | int64 | uint64 | float64](bytes T) string { return number(float64(bytes) / 1e6) }

// count prints a number of things.
func count(n float64) string {
	switch {
	case n >= 1e6:
		return number(n/1e6) + " M"
	case n >= 1e3:
		return number(n/1e3) + " k"
	default:
		return fmt.Sprintf("%.0f", n)
	}
}

// times prints how many times a is b.
func times[T time.Duration | float64](a, b T) string {
	if b == 0 {
		return "-"
	}
	return number(float64(a)/float64(b)) + "x"
}
