// Command bench measures aispend against peers and limits: each section runs its
// contenders in turn inside one run, so that a busy machine disturbs all of them
// alike, and prints their ratios. `make bench` runs it; docs/benchmarks.md says
// what is measured and keeps one run.
//
// A missed target is printed as MISSED and is no failure: benchmarks are never
// asserted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// section is one group of contenders.
type section struct {
	name string
	run  func(context.Context, *bench) error
}

func sections() []section {
	return []section{
		{"scrape", scrape},
		{"pull", largePull},
		{"replay", replay},
		{"durable", durable},
		{"start", start},
		{"idle", idle},
		{"disk", disk},
	}
}

// bench is one run.
type bench struct {
	*report
	sizes  sizes
	dir    string // everything on disk lies below it
	keep   bool   // leave it there
	binary string // of aispend; built when it is first needed
	// host starts something that serves the pages in a directory and returns its
	// base URL: a process of its own, so that serving is not measured as pulling.
	host func(ctx context.Context, dir string) (url string, stop func(), err error)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "run only the sections whose `name` matches this regular expression")
	quick := flags.Bool("quick", false, "smaller sizes, for a first look")
	keep := flags.Bool("keep", false, "keep the temporary directory and say where it is")
	hosted := flags.String("host", "", "internal: serve the pages in this `directory` until stdin ends")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *hosted != "" {
		return host(ctx, *hosted, os.Stdin, stdout)
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	dir, err := os.MkdirTemp("", "aispend-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() {
		if *keep {
			_, _ = fmt.Fprintln(stdout, "kept:", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	b := &bench{report: newReport(stdout), sizes: fullSizes(), dir: dir, keep: *keep, host: hostProcess}
	if *quick {
		b.sizes = quickSizes()
	}
	b.printf("aispend bench, %s\n%s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), machine(ctx))
	err = b.all(ctx, wanted)
	return err
}

// all runs the wanted sections and the summary. A section that fails does not
// keep the others from running.
func (b *bench) all(ctx context.Context, wanted *regexp.Regexp) error {
	began := time.Now()
	var errs []error
	for _, s := range sections() {
		if !wanted.MatchString(s.name) || ctx.Err() != nil {
			continue
		}
		b.begin(s.name)
		t := time.Now()
		if err := s.run(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("section %s: %w", s.name, err))
		}
		b.printf("  (section took %s; %s)\n", time.Since(t).Round(time.Second), load())
	}
	b.summary(time.Since(began))
	return errors.Join(append(errs, ctx.Err())...)
}

// path returns a path below the run's directory.
func (b *bench) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}
