package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"

	"github.com/aispend/aispend/internal/amconfig"
	"github.com/aispend/aispend/internal/app"
	"github.com/aispend/aispend/internal/config"
	"github.com/aispend/aispend/internal/secret"
	"github.com/aispend/aispend/rules/templates"
)

// alertmanagerFlags are those of alertmanager-config.
type alertmanagerFlags struct {
	output, templatesDir, secretsDir string
	hookURLs                         []string
	hookTokenFile, deadmanURLFile    string
	softHourly, hook                 bool
}

// defaultTemplatesDir is where the configuration looks for templates if it goes to
// standard output, and nobody says where its files will live.
const defaultTemplatesDir = "/etc/alertmanager/templates"

func (f *alertmanagerFlags) register(cli *kingpin.Application) *kingpin.CmdClause {
	cmd := cli.Command("alertmanager-config",
		"Write an Alertmanager configuration for Slack, mail and the hard-cap hook "+
			"from SLACK_WEBHOOK_URL, ALERT_EMAIL_WEBHOOK and SMTP_*; see docs/alerting.md.")
	cmd.Flag("output", "File to write, its templates in a directory beside it; without one standard output.").
		StringVar(&f.output)
	cmd.Flag("templates-dir", "Where the templates live; they are written there. "+
		"Default: templates beside --output, else "+defaultTemplatesDir+", where nothing is written.").
		StringVar(&f.templatesDir)
	cmd.Flag("secrets-dir", "Directory for secrets that the environment holds directly; "+
		"each becomes a file of mode 0600.").StringVar(&f.secretsDir)
	cmd.Flag("hook-url", "URL of a replica of the daemon that takes hard-cap alerts, as Alertmanager reaches it; "+
		"repeat it for each. Default: links.external_url, then --web.external-url; none: no hook.").
		StringsVar(&f.hookURLs)
	cmd.Flag("hook-token-file", "File with the token that the daemon accepts there. "+
		"Default: hard_cap.inbound_token_file, else web.admin_token_file.").StringVar(&f.hookTokenFile)
	cmd.Flag("hook", "Let hard caps call the daemon's hook; --no-hook leaves it out.").Default("true").BoolVar(&f.hook)
	cmd.Flag("deadman-url-file", "File with the URL of a dead man's switch, "+
		"called every five minutes while all is well.").StringVar(&f.deadmanURLFile)
	cmd.Flag("soft-repeat-hourly", "Repeat a soft cap every hour instead of every day.").BoolVar(&f.softHourly)
	return cmd
}

// alertmanagerConfig writes the configuration, after the files that it names.
func (c *command) alertmanagerConfig() error {
	f := &c.alertmanager
	plan, err := c.alertmanagerPlan()
	if err != nil {
		return &app.UsageError{Err: err}
	}
	for _, w := range plan.Warnings {
		_, _ = fmt.Fprintln(c.stderr, "warning:", w)
	}
	for _, s := range plan.Secrets {
		if err := s.Write(); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(c.stderr, "wrote", s.Path)
	}
	if f.templatesDir != "" {
		if err := c.writeTemplates(f.templatesDir); err != nil {
			return err
		}
	}
	if f.output == "" {
		_, err := c.stdout.Write(plan.Config)
		return err
	}
	if err := amconfig.WriteFile(f.output, plan.Config, 0o644); err != nil {
		return fmt.Errorf("writing the Alertmanager configuration: %w", err)
	}
	_, _ = fmt.Fprintln(c.stderr, "wrote", f.output)
	return nil
}

func (c *command) alertmanagerPlan() (amconfig.Plan, error) {
	f := &c.alertmanager
	receivers, err := config.ReadReceivers(os.Environ())
	if err != nil {
		return amconfig.Plan{}, err
	}
	r := amconfig.Request{
		Receivers: receivers, Hooks: f.hookURLs, HookToken: fileSecret(f.hookTokenFile),
		DeadMansSwitch: fileSecret(f.deadmanURLFile), SecretsDir: f.secretsDir, SoftRepeat: amconfig.Daily,
	}
	if f.softHourly {
		r.SoftRepeat = amconfig.Hourly
	}
	if err := c.hookOf(&r); err != nil {
		return amconfig.Plan{}, err
	}
	if f.output != "" && f.templatesDir == "" {
		f.templatesDir = filepath.Join(filepath.Dir(f.output), "templates")
	}
	if r.TemplatesDir = f.templatesDir; r.TemplatesDir == "" {
		r.TemplatesDir = defaultTemplatesDir
	}
	return amconfig.NewPlan(r)
}

func fileSecret(path string) *secret.Value {
	if path == "" {
		return nil
	}
	return secret.FromFile(path)
}

// hookOf takes what the flags do not say from the settings of the daemon. Who gives
// both flags needs no settings here.
func (c *command) hookOf(r *amconfig.Request) error {
	switch {
	case !c.alertmanager.hook:
		if len(r.Hooks) > 0 || r.HookToken.Set() {
			return errors.New("--no-hook leaves the hook out: leave --hook-url and --hook-token-file away")
		}
		r.NoHook = true
		return nil
	case len(r.Hooks) > 0 && r.HookToken.Set():
		return nil
	}
	loaded, err := config.Load(c.configOptions())
	if err != nil {
		return fmt.Errorf("the settings say where the hard-cap hook is and what token it takes, and they "+
			"cannot be read (give --hook-url and --hook-token-file to do without them, or --no-hook):\n%w", err)
	}
	cfg := loaded.Config
	if len(r.Hooks) == 0 {
		for _, u := range []string{cfg.Links.ExternalURL, c.externalURL} {
			if u != "" {
				r.Hooks = []string{u}
				break
			}
		}
	}
	if !r.HookToken.Set() {
		r.HookToken = cfg.HardCap.InboundToken
	}
	if !r.HookToken.Set() {
		r.HookToken = cfg.Web.AdminToken
	}
	return nil
}

func (c *command) writeTemplates(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory of templates: %w", err)
	}
	names, err := fs.Glob(templates.FS, "*.tmpl")
	if err != nil || len(names) == 0 {
		return errors.New("this build has no templates")
	}
	for _, name := range names {
		text, err := fs.ReadFile(templates.FS, name)
		if err == nil {
			err = amconfig.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("writing the template %s: %w", name, err)
		}
	}
	_, _ = fmt.Fprintln(c.stderr, "wrote", filepath.Join(dir, "*.tmpl"))
	return nil
}
