package e2e_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// promAlert is an alert as Prometheus shows it.
type promAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
}

// key names an alert by what makes it this one.
func (a promAlert) key() string {
	parts := []string{a.Labels["alertname"]}
	for _, l := range []string{"scope", "period", "level", "source"} {
		if v := a.Labels[l]; v != "" {
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, "/")
}

// prometheus is a running Prometheus.
type prometheus struct{ process }

// alerts returns the pending and firing alerts; none while Prometheus is down.
func (p *prometheus) alerts() []promAlert {
	p.t.Helper()
	var reply struct {
		Data struct {
			Alerts []promAlert `json:"alerts"`
		} `json:"data"`
	}
	if err := getJSON(p.t, p.url+"/api/v1/alerts", &reply); err != nil {
		return nil
	}
	return reply.Data.Alerts
}

// keys returns the names of the alerts in a state, sorted.
func (p *prometheus) keys(state string) []string {
	p.t.Helper()
	var out []string
	for _, a := range p.alerts() {
		if a.State == state {
			out = append(out, a.key())
		}
	}
	slices.Sort(out)
	return out
}

// firing waits until an alert fires and returns it.
func (p *prometheus) firing(key string) promAlert {
	p.t.Helper()
	var found promAlert
	eventually(p.t, 2*time.Minute, key+" fires", func() bool {
		for _, a := range p.alerts() {
			if a.key() == key && a.State == "firing" {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

// sample is a value of an instant query.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

func (s sample) float(t *testing.T) float64 {
	t.Helper()
	text, _ := s.Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("value %v: %v", s.Value, err)
	}
	return v
}

// query runs an instant query; it returns nothing while Prometheus is down.
func (p *prometheus) query(expr string) []sample {
	p.t.Helper()
	var reply struct {
		Data struct {
			Result []sample `json:"result"`
		} `json:"data"`
	}
	if err := getJSON(p.t, p.url+"/api/v1/query?query="+url.QueryEscape(expr), &reply); err != nil {
		return nil
	}
	return reply.Data.Result
}

// value waits for an expression with one result and returns it.
func (p *prometheus) value(expr string) float64 {
	p.t.Helper()
	var got []sample
	eventually(p.t, time.Minute, "there is one "+expr, func() bool {
		got = p.query(expr)
		return len(got) == 1
	})
	return got[0].float(p.t)
}

// checkRules requires that every rule was evaluated without an error and that no
// annotation was badly made.
func (p *prometheus) checkRules() {
	p.t.Helper()
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					Name      string      `json:"name"`
					Health    string      `json:"health"`
					LastError string      `json:"lastError"`
					Alerts    []promAlert `json:"alerts"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := getJSON(p.t, p.url+"/api/v1/rules", &reply); err != nil {
		p.t.Fatal(err)
	}
	rules := 0
	for _, g := range reply.Data.Groups {
		for _, r := range g.Rules {
			rules++
			if r.Health != "ok" && r.Health != "unknown" || r.LastError != "" {
				p.t.Errorf("rule %s: health %s: %s", r.Name, r.Health, r.LastError)
			}
			for _, a := range r.Alerts {
				for name, text := range a.Annotations {
					if word := templateError(text); word != "" {
						p.t.Errorf("%s: annotation %s has %q: %s", a.key(), name, word, text)
					}
				}
			}
		}
	}
	if rules < 20 {
		p.t.Errorf("%d rules are loaded: the shipped files have more", rules)
	}
}

// templateError returns a sign of a template that went wrong, or "".
func templateError(text string) string {
	for _, word := range []string{"<no value>", "NaN", "%!", "<error expanding", "{{", "}}", "map[", "0001-01-01"} {
		if strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

// alertmanager is a running Alertmanager.
type alertmanager struct{ process }

type amAlert struct {
	Labels   map[string]string `json:"labels"`
	StartsAt time.Time         `json:"startsAt"`
	EndsAt   time.Time         `json:"endsAt"`
	Status   struct {
		State       string   `json:"state"`
		InhibitedBy []string `json:"inhibitedBy"`
	} `json:"status"`
	Receivers []struct {
		Name string `json:"name"`
	} `json:"receivers"`
}

// alert returns the active alert of a name and level, and whether there is one.
func (a *alertmanager) alert(name, level string) (amAlert, bool) {
	a.t.Helper()
	filter := url.Values{"filter": {fmt.Sprintf("alertname=%q", name)}}
	if level != "" {
		filter.Add("filter", fmt.Sprintf("level=%q", level))
	}
	var all []amAlert
	if err := getJSON(a.t, a.url+"/api/v2/alerts?"+filter.Encode(), &all); err != nil || len(all) == 0 {
		return amAlert{}, false
	}
	if len(all) > 1 {
		a.t.Fatalf("%d alerts %s %s in Alertmanager: %+v", len(all), name, level, all)
	}
	return all[0], true
}
