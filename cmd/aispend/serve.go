package main

import (
	"context"
	"fmt"
	"os"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"

	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/providers/registry"
)

func (c *command) configOptions() config.Options {
	return config.Options{
		Path: c.configFile, Explicit: c.configSet, Environ: os.Environ(), Types: registry.Types(),
	}
}

func (c *command) serve(ctx context.Context) error {
	c.log.Writer = c.stderr
	logger := promslog.New(&c.log)
	logger.Info("starting aispend", "version", version.Info(), "build", version.BuildContext())
	return app.Run(ctx, app.Options{
		Load:        config.NewLoader(c.configOptions()).Load,
		StoragePath: c.storagePath,
		Web:         c.web,
		ExternalURL: c.externalURL,
		Types:       registry.Types(),
		Logger:      logger,
	}, reloads(ctx))
}

// check loads the configuration and says what it found. Calling the providers
// comes with a later version.
func (c *command) check() error {
	if !c.configOnly {
		return &app.UsageError{Err: fmt.Errorf("checking against the providers comes with a later version; " +
			"aispend check --config-only checks the configuration")}
	}
	loaded, err := config.Load(c.configOptions())
	if err != nil {
		return &app.UsageError{Err: err}
	}
	if err := app.CheckWebConfig(*c.web.WebConfigFile, loaded.Config); err != nil {
		return err
	}
	for _, w := range loaded.Warnings {
		_, _ = fmt.Fprintln(c.stderr, "warning:", w)
	}
	enabled := 0
	for _, p := range loaded.Config.Providers {
		if p.Enabled {
			enabled++
		}
	}
	_, err = fmt.Fprintf(c.stdout, "configuration is valid: %s, providers enabled: %d of %d, caps: %d\n",
		loaded.Source, enabled, len(loaded.Config.Providers), len(loaded.Config.Caps))
	return err
}
