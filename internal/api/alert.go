package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
)

// The levels of a cap and of a test alert.
const (
	levelSoft = "soft"
	levelHard = "hard"
)

// TestAlert is a test alert as it was sent to every configured Alertmanager.
type TestAlert struct {
	Labels           map[string]string
	StartsAt, EndsAt time.Time
	// Answers are what the Alertmanagers said, in the order of the configuration;
	// none means that none is configured.
	Answers []AlertAnswer
}

// AlertAnswer is what one Alertmanager said to a test alert. Error is free of
// secrets and empty when the alert was accepted.
type AlertAnswer struct {
	URL      string
	Accepted bool
	Version  string
	Error    string
}

// Alertmanager is how one configured Alertmanager stands. Error is free of secrets
// and empty when it is reachable.
type Alertmanager struct {
	URL       string
	Reachable bool
	Version   string
	// Cluster is ready, settling or disabled; Peers counts the members that it sees.
	Cluster string
	Peers   int
	Error   string
}

type alertmanagerReply struct {
	URL       string `json:"url"`
	Reachable bool   `json:"reachable"`
	Version   string `json:"version,omitempty"`
	Cluster   string `json:"cluster_status,omitempty"`
	Peers     int    `json:"cluster_peers,omitempty"`
	Error     string `json:"error,omitempty"`
}

func newAlertmanagerReplies(ams []Alertmanager) []alertmanagerReply {
	out := []alertmanagerReply{}
	for _, am := range ams {
		out = append(out, alertmanagerReply(am))
	}
	return out
}

type testAlertReply struct {
	Labels   map[string]string `json:"labels"`
	StartsAt time.Time         `json:"starts_at"`
	EndsAt   time.Time         `json:"ends_at"`
	Answers  []answerReply     `json:"alertmanagers"`
}

type answerReply struct {
	URL      string `json:"url"`
	Accepted bool   `json:"accepted"`
	Version  string `json:"version,omitempty"`
	Error    string `json:"error,omitempty"`
}

// postTestAlert sends a test alert of a level, soft by default. One Alertmanager
// that takes it is enough: the members of a cluster tell each other nothing of
// alerts, but each of them notifies.
func (s *Server) postTestAlert(r *http.Request, _ httprouter.Params) (answer, error) {
	p, err := readParams(r, paramRules{names: []string{"level"}})
	if err != nil {
		return answer{}, err
	}
	level, err := p.oneOf("level", levelSoft, levelSoft, levelHard)
	if err != nil {
		return answer{}, err
	}
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	return jsonAnswer(func(ctx context.Context) (testAlertReply, error) {
		return newTestAlertReply(s.deps.TestAlert(ctx, level))
	}), nil
}

func newTestAlertReply(sent TestAlert) (testAlertReply, error) {
	if len(sent.Answers) == 0 {
		return testAlertReply{}, problemf(http.StatusConflict,
			"no Alertmanager is configured; list every member of the cluster in alertmanager.urls (or ALERTMANAGER_URL) and reload")
	}
	out := testAlertReply{Labels: sent.Labels, StartsAt: sent.StartsAt.UTC(), EndsAt: sent.EndsAt.UTC()}
	accepted := false
	var reasons []string
	for _, a := range sent.Answers {
		out.Answers = append(out.Answers, answerReply(a))
		accepted = accepted || a.Accepted
		reasons = append(reasons, a.URL+" "+a.Error)
	}
	if !accepted {
		return testAlertReply{}, problemf(http.StatusBadGateway,
			"no Alertmanager accepted the test alert: %s", strings.Join(reasons, "; "))
	}
	return out, nil
}
