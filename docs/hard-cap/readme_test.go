package hardcap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/aispend/aispend/providers/simulator"
)

// block returns the code block of the README that is marked with a name.
func block(t *testing.T, name string) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- tested: " + name + " -->\n```[a-z]+\n(.*?)\n```\n").FindSubmatch(readme)
	if m == nil {
		t.Fatalf("no block is marked %q", name)
	}
	return string(m[1])
}

// needs skips a test on a machine without a program that the README uses.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("there is no " + p)
		}
	}
}

func TestTheBodyOfTheREADMEIsAccepted(t *testing.T) {
	l := newLab(t)
	l.plan(t, "claude")
	r := l.start(t)
	body := block(t, "body")
	resp, err := post(t.Context(), clientOf(t), r.url, secret, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.kill()
	if resp.StatusCode != 200 || !strings.Contains(r.said(), "would_call") || !strings.Contains(r.said(), "1003.52") {
		t.Errorf("%s: %s", resp.Status, r.said())
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(body)); err != nil || compact.String() != string(sample()) {
		t.Errorf("it is not the body of the contract: %v, %s", err, compact.String())
	}
}

func TestThePythonOfTheREADMEVerifies(t *testing.T) {
	needs(t, "python3")
	for name, c := range map[string]struct {
		secrets, body, header string
		ok                    bool
	}{
		"good":          {secret, "x", "", true},
		"second secret": {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" + secret, "x", "", true},
		"other secret":  {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "x", "", false},
		"other body":    {secret, "y", "", false},
		"old":           {secret, "x", "webhook-timestamp=1", false},
	} {
		script := block(t, "python") + fmt.Sprintf(`
now = str(int(time.time()))
key = base64.b64decode("%s")
mac = hmac.new(key, b"hc_1." + now.encode() + b".x", hashlib.sha256).digest()
headers = {"webhook-id": "hc_1", "webhook-timestamp": now,
           "webhook-signature": "v1a,zz v1," + base64.b64encode(mac).decode()}
headers.update(p.split("=") for p in "%s".split())
assert verify("""%s""".split(), headers, b"%s") == "hc_1"
`, strings.TrimPrefix(secret, "whsec_"), c.header, c.secrets, c.body)
		out, err := exec.Command("python3", "-c", script).CombinedOutput()
		if (err == nil) != c.ok || !c.ok && !bytes.Contains(out, []byte("ValueError")) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// bash runs a block with the providers' addresses replaced by the simulator's.
func (l *lab) bash(t *testing.T, script string, env ...string) string {
	t.Helper()
	script = strings.NewReplacer("https://api.openai.com", l.servers.OpenAI,
		"https://api.anthropic.com", l.servers.Anthropic).Replace(script)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = cmd.Cancel() // what a failed script left in the background
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestTheWaysBackOfTheREADME(t *testing.T) {
	needs(t, "bash", "curl")
	l := newLab(t)
	if err := os.Mkdir(l.file("secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.write(t, "secrets/openai-admin-key", l.Key(simulator.OpenAI)+"\n")
	l.write(t, "secrets/anthropic-admin-key", l.Key(simulator.Anthropic)+"\n")

	out := l.bash(t, block(t, "ids"), "PROJECT_ID="+l.project)
	if !strings.Contains(out, l.claude.ID) || !strings.Contains(out, l.openAI.ID) {
		t.Errorf("the ids are not in %s", out)
	}

	before := l.keys()
	l.plan(t, "claude", "limit")
	l.start(t, "-apply").deliver(t, 200)
	l.expect(t, before, "claude", "limit")
	l.bash(t, block(t, "anthropic back"), "KEY_ID="+l.claude.ID)
	back := block(t, "openai back")
	raise, del, ok := strings.Cut(back, "/spend_limit\"\n")
	if !ok {
		t.Fatalf("there are no two commands in %s", back)
	}
	l.bash(t, raise+"/spend_limit\"", "PROJECT_ID="+l.project)
	if cents, _ := l.SpendLimit(l.project); cents != 200000 {
		t.Errorf("the limit is %d", cents)
	}
	l.bash(t, del, "PROJECT_ID="+l.project)
	l.expect(t, before)
}

func TestTheRehearsalOfTheREADME(t *testing.T) {
	needs(t, "bash", "mktemp", "base64", "head")
	l := newLab(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	host, port, _ := net.SplitHostPort(address)
	wait := fmt.Sprintf("until (exec 3<>/dev/tcp/%s/%s) 2>/dev/null; do sleep 0.1; done", host, port)
	script := strings.NewReplacer(
		"\nsleep 1\n", "\n"+wait+"\n", // a busy machine may take longer
		`"$d/receiver" -plan`, `"$d/receiver" -listen `+address+` -plan`,
		`"$d/send" -secret`, `"$d/send" -to http://`+address+`/hard-cap -secret`,
	).Replace(block(t, "rehearsal"))
	if strings.Count(script, address) != 2 || !strings.Contains(script, wait) {
		t.Fatalf("the block has changed: %s", script)
	}
	out := l.bash(t, "cd '"+root+"'\n"+script, "TMPDIR="+l.dir)
	for _, want := range []string{
		"200 OK: dry run\n", `"would_call":"POST https://api.openai.com/v1/organization/projects/proj_abc/spend_limit `,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}

func TestSendTellsWhetherItWasTaken(t *testing.T) {
	l := newLab(t)
	l.plan(t, "claude")
	r := l.start(t)
	l.write(t, "body.json", string(sample()))
	l.write(t, "other", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
	l.write(t, "both", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"+secret+"\n")
	l.write(t, "noid.json", "{}")
	for name, c := range map[string]struct {
		secrets, body, want string
		ok                  bool
	}{
		"good":         {"secret", "body.json", "200 OK: dry run", true},
		"two secrets":  {"both", "body.json", "200 OK: dry run", true},
		"other secret": {"other", "body.json", "401 Unauthorized", false},
		"no secret":    {"noid.json", "body.json", "signing secret", false},
		"no id":        {"secret", "noid.json", "id", false},
	} {
		args := []string{"-to", r.url, "-secret-file", l.file(c.secrets), "-body", l.file(c.body)}
		out, err := exec.Command(program(t, "send"), args...).CombinedOutput()
		if (err == nil) != c.ok || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestTheReceiverCanBeCopied builds the folder and runs its tests where nothing of
// this repository is.
func TestTheReceiverCanBeCopied(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("receiver")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mod", "init", "receiver"}, {"vet", "."}, {"build", "-o", filepath.Join(dir, "out"), "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v: %s", args, err, out)
		}
	}
}

// TestTheFlagsOfTheREADMEExist keeps the unit and the Compose file in step with the
// program.
func TestTheFlagsOfTheREADMEExist(t *testing.T) {
	help, _ := exec.Command(program(t, "receiver"), "-h").CombinedOutput()
	known := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(string(help), -1)
	if len(known) < 10 {
		t.Fatalf("-h says %s", help)
	}
	var names []string
	for _, m := range known {
		names = append(names, m[1])
	}
	unit := regexp.MustCompile(`(?s)ExecStart=.*?[^\\]\n`).FindString(block(t, "systemd"))
	var compose struct {
		Services map[string]struct{ Command []string }
	}
	if err := yaml.Unmarshal([]byte(block(t, "compose")), &compose); err != nil {
		t.Fatal(err)
	}
	command := strings.Join(compose.Services["hard-cap-receiver"].Command, " ")
	for _, text := range []string{unit, command} {
		flags := regexp.MustCompile(`(?:^|\s)(-[a-z-]+)`).FindAllStringSubmatch(text, -1)
		if len(flags) != 5 {
			t.Errorf("%d flags in %q", len(flags), text)
		}
		for _, m := range flags {
			if !slices.Contains(names, m[1]) {
				t.Errorf("there is no %s", m[1])
			}
		}
	}
}
