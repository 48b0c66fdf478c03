package receiver

import (
	"encoding/json"
	"time"
)

// Alarm is what Alertmanager posts of one hard cap that is reached: the fields of its
// payload, version 4, as it really sends them (Alertmanager 0.34).
func Alarm(scope, period string, startsAt time.Time) []byte {
	labels := map[string]string{
		"alertname": "AISpendCapReached", "job": "aispend", "scope": scope, "period": period, "level": "hard", "severity": "critical",
	}
	b, err := json.Marshal(map[string]any{
		"receiver": "aispend-hard-cap-hook", "status": "firing", "version": "4", "groupKey": "{}:{" + scope + "}",
		"truncatedAlerts": 0, "notification_reason": "first notification", "groupLabels": labels, "routeLabels": map[string]string{},
		"commonLabels": labels, "commonAnnotations": map[string]string{}, "externalURL": "http://alertmanager.example.com:9093",
		"alerts": []map[string]any{{
			"status": "firing", "labels": labels, "annotations": map[string]string{}, "startsAt": startsAt.UTC(),
			"endsAt": time.Time{}, "generatorURL": "http://prometheus.example.com:9090/graph", "fingerprint": "a32215f88489a03f",
		}},
	})
	if err != nil {
		panic(err) // strings and times
	}
	return b
}
