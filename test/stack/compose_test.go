package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// services are those of each profile.
var services = map[string][]string{
	"demo": {
		"demo-aispend", "demo-alertmanager", "demo-grafana", "demo-mail", "demo-net", "demo-prometheus", "demo-slack",
	},
	"live":  {"aispend", "alertmanager", "grafana", "prometheus"},
	"tools": {"alertmanager-config"},
}

// ofTheUser are mounted and not in the repository.
var ofTheUser = []string{"aispend.yml", "alertmanager.yml", "secrets", "secrets/alertmanager", "secrets/grafana-admin-password"}

func TestProfiles(t *testing.T) {
	if got := load(t).Services; len(got) != 0 {
		t.Errorf("without a profile %d services start", len(got))
	}
	for profile, want := range services {
		t.Run(profile, func(t *testing.T) {
			project := load(t, profile)
			got := project.ServiceNames()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("services %v, want %v", got, want)
			}
			for name, s := range project.Services {
				t.Run(name, func(t *testing.T) { checkService(t, s, profile == "tools") })
			}
		})
	}
}

// checkService holds what is true of every container, long-running or not.
func checkService(t *testing.T, s types.ServiceConfig, oneShot bool) {
	t.Helper()
	if !regexp.MustCompile(`:(v?\d+\.\d+\.\d+|local)$`).MatchString(s.Image) {
		t.Errorf("image %s is not pinned", s.Image)
	}
	if strings.HasSuffix(s.Image, ":local") != (s.Build != nil) {
		t.Errorf("image %s: what is built here is called local, and nothing else", s.Image)
	}
	if !regexp.MustCompile(`^[1-9]\d*:\d+$`).MatchString(s.User) {
		t.Errorf("user %q is not a number other than root", s.User)
	}
	if !s.ReadOnly || s.Privileged || len(s.CapAdd) > 0 || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
		!slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Error("not read-only, without capabilities and without new privileges")
	}
	if s.MemLimit < 16<<20 || s.MemLimit > 1<<30 || s.PidsLimit <= 0 {
		t.Errorf("memory %d, pids %d: not bounded", s.MemLimit, s.PidsLimit)
	}
	if !oneShot && (s.Restart != "unless-stopped" || s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Test[0] != "CMD") {
		t.Errorf("restart %q, healthcheck %+v", s.Restart, s.HealthCheck)
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" {
		t.Error("the log is not bounded")
	}
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			t.Errorf("port %d is published on %q", p.Target, p.HostIP)
		}
	}
	for _, v := range s.Volumes {
		checkMount(t, v)
	}
}

func checkMount(t *testing.T, v types.ServiceVolumeConfig) {
	t.Helper()
	if v.Type == types.VolumeTypeVolume {
		return
	}
	if v.Type != types.VolumeTypeBind || !v.ReadOnly {
		t.Errorf("%s: not a read-only bind", v.Target)
	}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(base, v.Source)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(ofTheUser, path) {
		// Docker would make an empty directory of it.
		if v.Bind == nil || bool(v.Bind.CreateHostPath) {
			t.Errorf("%s is made if it is missing", path)
		}
		return
	}
	if _, err := os.Stat(v.Source); err != nil {
		t.Error(err)
	}
}

// TestStartsWithoutTheEnvironmentOfTheTools: only who writes the configuration of
// Alertmanager needs alertmanager.env.
func TestStartsWithoutTheEnvironmentOfTheTools(t *testing.T) {
	dir := t.TempDir() // without any file of a user
	for profile, needed := range map[string]bool{"demo": false, "live": false, "tools": true} {
		options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
			cli.WithProfiles([]string{profile}), cli.WithWorkingDirectory(dir))
		if err != nil {
			t.Fatal(err)
		}
		_, err = options.LoadProject(context.Background())
		if (err != nil) != needed || needed && !strings.Contains(err.Error(), "alertmanager.env") {
			t.Errorf("profile %s: %v", profile, err)
		}
	}
}

// TestDemoIsAlone: nothing of the user is in the demo, and only what the relay
// passes on reaches its loopback.
func TestDemoIsAlone(t *testing.T) {
	for name, s := range load(t, "demo").Services {
		if (name == "demo-net") != (len(s.Ports) > 0) || (name == "demo-net") == (s.NetworkMode == "service:demo-net") {
			t.Errorf("%s: %d ports, network %q", name, len(s.Ports), s.NetworkMode)
		}
		for _, p := range s.Ports {
			if p.Target == 10099 {
				t.Errorf("%s publishes the demo's own port", name)
			}
		}
		for _, v := range s.Volumes {
			if strings.Contains(v.Source, "secrets") || strings.HasSuffix(v.Source, "aispend.yml") && !strings.Contains(v.Source, "provisioning") {
				t.Errorf("%s sees %s", name, v.Source)
			}
		}
		if len(s.EnvFiles) > 0 {
			t.Errorf("%s reads the environment of the user", name)
		}
	}
	demo := load(t, "demo").Services["demo-aispend"]
	if len(demo.Command) == 0 || demo.Command[0] != "demo" || strings.Contains(strings.Join(demo.Command, " "), "listen") {
		t.Errorf("command %v", demo.Command)
	}
}

// TestSecretsOfLive: who sees which secret.
func TestSecretsOfLive(t *testing.T) {
	want := map[string][]string{
		"aispend":      {"/etc/aispend/secrets"},
		"alertmanager": {"/etc/aispend/secrets/alertmanager"},
		"grafana":      {"/etc/grafana/admin-password"},
		"prometheus":   nil,
	}
	for name, s := range load(t, "live").Services {
		var got []string
		for _, v := range s.Volumes {
			if strings.Contains(v.Source, "/secrets") {
				got = append(got, v.Target)
			}
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s sees %v, want %v", name, got, want[name])
		}
		if len(got) > 0 && name != "aispend" && !slices.Contains(s.GroupAdd, "65532") {
			t.Errorf("%s cannot read its secret", name)
		}
	}
}
