// Command mutate proves that the tests of the alerting rules can fail: it puts one
// mistake after the other into the rules and asks promtool whether a test notices.
//
//	go run ./rules/mutate -promtool .bin/promtool
//
// The mistakes: a comparison turned round or moved by its boundary, a label dropped
// from by, on or a selector, max for min, a last_over_time, abs or offset removed, a
// clause of and, or and unless removed, a threshold or a for doubled, halved or
// dropped.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/aispend/aispend/rules"
)

// enough is the part of the mutants that has to be caught.
const enough = 0.95

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		stop()
		os.Exit(1) //nolint:forbidigo,gocritic // stop was called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	promtool := flags.String("promtool", os.Getenv("AISPEND_PROMTOOL"), "the promtool to ask")
	dir := flags.String("rules", "rules", "directory of the rule files and their tests")
	alert := flags.String("alert", "", "only alerts whose name contains this")
	workers := flags.Int("workers", runtime.NumCPU(), "mutants judged at once")
	verbose := flags.Bool("v", false, "print the expressions of the survivors")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("reading the flags: %w", err)
	}
	if *promtool == "" {
		return fmt.Errorf("which promtool? Set -promtool or AISPEND_PROMTOOL")
	}
	list, err := read(*dir, *alert)
	if err != nil {
		return err
	}
	j, err := newJudge(ctx, *promtool, *dir, list)
	if err != nil {
		return err
	}
	verdicts, err := j.all(ctx, list, *workers)
	if err != nil {
		return err
	}
	return report(out, list, verdicts, *verbose)
}

// read returns the mutants of the rule files in dir.
func read(dir, alert string) ([]mutant, error) {
	var out []mutant
	for _, file := range []string{rules.CapsFile, rules.HealthFile} {
		content, err := os.ReadFile(filepath.Join(dir, file)) //nolint:gosec // named by the caller
		if err != nil {
			return nil, fmt.Errorf("reading rules: %w", err)
		}
		made, err := mutants(file, content)
		if err != nil {
			return nil, err
		}
		for _, m := range made {
			if strings.Contains(m.alert, alert) {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// report prints what survived, and fails if that is too much.
func report(out io.Writer, list []mutant, verdicts []verdict, verbose bool) error {
	var text strings.Builder
	n := map[verdict]int{}
	for i, m := range list {
		n[verdicts[i]]++
		if verdicts[i] == caught {
			continue
		}
		state := map[verdict]string{survived: "survived", invalid: "not valid"}[verdicts[i]]
		fmt.Fprintf(&text, "%s: %s: %s: %s\n", m.file, m.alert, state, m.what)
		if verbose {
			fmt.Fprintf(&text, "\t%s\n", strings.ReplaceAll(m.expr, "\n", "\n\t"))
		}
	}
	valid := len(list) - n[invalid]
	if valid == 0 {
		return fmt.Errorf("no mutant could be made")
	}
	rate := float64(n[caught]) / float64(valid)
	fmt.Fprintf(&text, "%d mutants, %d caught (%.1f %%), %d survived; %d more were not valid\n",
		valid, n[caught], 100*rate, n[survived], n[invalid])
	if _, err := io.WriteString(out, text.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if rate < enough {
		return fmt.Errorf("%.1f %% caught is less than %.0f %%", 100*rate, 100*enough)
	}
	return nil
}
