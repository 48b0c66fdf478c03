package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aispend/aispend/providers/simulator"
	"github.com/aispend/aispend/spend"
)

// call sends a request about keys or limits with the admin key.
func call(t *testing.T, w *simulator.World, provider, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := request(t, w, provider, path, nil)
	sent := httptest.NewRequest(method, path, strings.NewReader(body))
	sent.Header = r.Header
	if body != "" {
		sent.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	handler(w, provider).ServeHTTP(rec, sent)
	var got map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, rec.Body)
	}
	return rec.Code, got
}

func tiny() *simulator.World {
	return simulator.New(simulator.Options{Seed: 4, Now: at(noon), Tiny: true, Plain: true})
}

const anthropicKeys = "/v1/organizations/api_keys"

func TestAnAnthropicKeyIsTurnedOffAndOnAgain(t *testing.T) {
	w := tiny()
	id := w.APIKeys(simulator.Anthropic)[0].ID
	for _, status := range []string{simulator.KeyInactive, simulator.KeyActive, simulator.KeyArchived} {
		code, got := call(t, w, simulator.Anthropic, http.MethodPost, anthropicKeys+"/"+id, `{"status": "`+status+`"}`)
		if code != 200 || got["status"] != status || got["id"] != id || got["type"] != "api_key" {
			t.Errorf("%s: %d %v", status, code, got)
		}
		if k, _ := w.APIKey(id); k.Status != status {
			t.Errorf("the world has %q, want %q", k.Status, status)
		}
		if _, got = call(t, w, simulator.Anthropic, http.MethodGet, anthropicKeys+"/"+id, ""); got["status"] != status {
			t.Errorf("read back %v, want %s", got, status)
		}
	}
	reqs := w.Requests()
	if r := reqs[0]; r.Body != `{"status": "inactive"}` || r.Source != "anthropic/api_keys" || r.Status != 200 {
		t.Errorf("log begins with %+v", r)
	}
}

func TestBadAnthropicUpdatesChangeNothing(t *testing.T) {
	w := tiny()
	id := w.APIKeys(simulator.Anthropic)[0].ID
	before := w.APIKeys(simulator.Anthropic)
	for _, c := range []struct {
		method, id, body string
		status           int
		message          string
	}{
		{http.MethodPost, id, `{"status": "expired"}`, 400, "status: "},
		{http.MethodPost, id, `{"status": "INACTIVE"}`, 400, "status: "},
		{http.MethodPost, id, `{"status": 1}`, 400, "status: "},
		{http.MethodPost, id, `{"name": ""}`, 400, "name: "},
		{http.MethodPost, id, `{"state": "inactive"}`, 400, "state: Extra inputs"},
		{http.MethodPost, id, `["inactive"]`, 400, "not valid JSON"},
		{http.MethodPost, id, ``, 400, "not valid JSON"},
		{http.MethodPost, "apikey_none", `{"status": "inactive"}`, 404, "Not found"},
		{http.MethodDelete, id, ``, 405, "Method Not Allowed"},
		{http.MethodPost, id, `{}`, 200, ""},
		{http.MethodPost, id, `{"status": null, "name": null}`, 200, ""},
	} {
		code, got := call(t, w, simulator.Anthropic, c.method, anthropicKeys+"/"+c.id, c.body)
		if code != c.status {
			t.Errorf("%s %s: %d %v", c.method, c.body, code, got)
		}
		if c.status == 200 {
			continue
		}
		e, _ := got["error"].(map[string]any)
		if m, _ := e["message"].(string); !strings.Contains(m, c.message) || got["type"] != "error" {
			t.Errorf("%s %s: %v", c.method, c.body, got)
		}
	}
	if diff := cmp.Diff(before, w.APIKeys(simulator.Anthropic)); diff != "" {
		t.Error(diff)
	}
}

func TestKeysAreListedInPages(t *testing.T) {
	w := tiny()
	project := w.Projects(simulator.OpenAI)[0]
	for _, c := range []struct{ provider, path, after string }{
		{simulator.Anthropic, anthropicKeys, "after_id"},
		{simulator.OpenAI, "/v1/organization/projects/" + project + "/api_keys", "after"},
	} {
		w.PutAPIKey(simulator.APIKey{Provider: c.provider, ID: "key_new", Project: project, ServiceAccount: true})
		var got, want []string
		for _, k := range w.APIKeys(c.provider) {
			want = append(want, k.ID)
		}
		cursor := ""
		for {
			code, page := call(t, w, c.provider, http.MethodGet, c.path+"?limit=1"+cursor, "")
			data, _ := page["data"].([]any)
			if code != 200 || len(data) != 1 {
				t.Fatalf("%s: %d %v", c.path, code, page)
			}
			id, _ := data[0].(map[string]any)["id"].(string)
			got = append(got, id)
			if page["last_id"] != id || page["first_id"] != id {
				t.Errorf("%s: %v", c.path, page)
			}
			if page["has_more"] != true {
				break
			}
			cursor = "&" + c.after + "=" + id
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.path, diff)
		}
		if code, page := call(t, w, c.provider, http.MethodGet, c.path+"?limit=0", ""); code != 400 {
			t.Errorf("limit 0: %d %v", code, page)
		}
		if code, page := call(t, w, c.provider, http.MethodGet, c.path+"?"+c.after+"=nobody", ""); code != 400 {
			t.Errorf("unknown cursor: %d %v", code, page)
		}
	}
	id := w.APIKeys(simulator.Anthropic)[0].ID
	call(t, w, simulator.Anthropic, http.MethodPost, anthropicKeys+"/"+id, `{"status":"inactive"}`)
	_, page := call(t, w, simulator.Anthropic, http.MethodGet, anthropicKeys+"?status=inactive", "")
	if data, _ := page["data"].([]any); len(data) != 1 {
		t.Errorf("inactive keys: %v", page)
	}
}

func TestADeletedOpenAIKeyIsGone(t *testing.T) {
	w := tiny()
	k := w.APIKeys(simulator.OpenAI)[0]
	path := "/v1/organization/projects/" + k.Project + "/api_keys/"
	code, got := call(t, w, simulator.OpenAI, http.MethodGet, path+k.ID, "")
	if code != 200 || got["object"] != "organization.project.api_key" || got["redacted_value"] != k.Hint {
		t.Errorf("%d %v", code, got)
	}
	code, got = call(t, w, simulator.OpenAI, http.MethodDelete, path+k.ID, "")
	want := map[string]any{"object": "organization.project.api_key.deleted", "id": k.ID, "deleted": true}
	if diff := cmp.Diff(want, got); code != 200 || diff != "" {
		t.Errorf("%d %s", code, diff)
	}
	if k, ok := w.APIKey(k.ID); !ok || k.Status != simulator.KeyDeleted {
		t.Errorf("the world has %+v", k)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if code, got = call(t, w, simulator.OpenAI, method, path+k.ID, ""); code != 404 {
			t.Errorf("%s again: %d %v", method, code, got)
		}
	}
	_, list := call(t, w, simulator.OpenAI, http.MethodGet, strings.TrimSuffix(path, "/"), "")
	for _, v := range list["data"].([]any) {
		if v.(map[string]any)["id"] == k.ID {
			t.Errorf("%s is still listed", k.ID)
		}
	}
}

func TestOpenAIKeysThatCannotBeDeleted(t *testing.T) {
	w := tiny()
	project := w.Projects(simulator.OpenAI)[0]
	w.PutAPIKey(simulator.APIKey{Provider: simulator.OpenAI, ID: "key_robot", Project: project, ServiceAccount: true})
	w.PutAPIKey(simulator.APIKey{Provider: simulator.OpenAI, ID: "key_elsewhere", Project: "proj_elsewhere"})
	before := w.APIKeys(simulator.OpenAI)
	base := "/v1/organization/projects/"
	for path, status := range map[string]int{
		project + "/api_keys/key_robot":                                            400,
		project + "/api_keys/key_elsewhere":                                        404,
		project + "/api_keys/key_none":                                             404,
		"proj_none/api_keys/" + before[0].ID:                                       404,
		project + "/api_keys/" + w.APIKeys(simulator.Anthropic)[0].ID:              404,
		project + "/api_keys":                                                      405,
		project + "/keys/" + before[0].ID:                                          404,
		project + "/api_keys/" + before[0].ID + "/" + before[0].ID:                 404,
		"../organization/projects/" + project + "/api_keys/" + before[0].ID + "/x": 404,
	} {
		if code, got := call(t, w, simulator.OpenAI, http.MethodDelete, base+path, ""); code != status {
			t.Errorf("%s: %d %v", path, code, got)
		}
	}
	if diff := cmp.Diff(before, w.APIKeys(simulator.OpenAI)); diff != "" {
		t.Error(diff)
	}
}

func TestSpendLimits(t *testing.T) {
	w := tiny()
	project := w.Projects(simulator.OpenAI)[0]
	path := "/v1/organization/projects/" + project + "/spend_limit"
	limit := func(cents int) string {
		return `{"threshold_amount": ` + itoa(int64(cents)) + `, "currency": "USD", "interval": "month"}`
	}
	if code, got := call(t, w, simulator.OpenAI, http.MethodGet, path, ""); code != 404 {
		t.Errorf("no limit: %d %v", code, got)
	}
	for _, body := range []string{
		limit(0), limit(-5), `{"threshold_amount": 100}`, `{"threshold_amount": "100", "currency": "USD", "interval": "month"}`,
		`{"threshold_amount": 100.5, "currency": "USD", "interval": "month"}`,
		`{"threshold_amount": 100, "currency": "EUR", "interval": "month"}`,
		`{"threshold_amount": 100, "currency": "USD", "interval": "day"}`,
		`{"threshold_amount": 100, "currency": "USD", "interval": "month", "hard": true}`, ``, `[]`,
	} {
		code, got := call(t, w, simulator.OpenAI, http.MethodPost, path, body)
		if _, ok := w.SpendLimit(project); code != 400 || ok {
			t.Errorf("%s: %d %v", body, code, got)
		}
	}
	var spent spend.Money
	for d := spend.DayOf(noon).MonthStart(); d <= spend.DayOf(noon); d++ {
		for _, r := range w.OpenAICost(d, noon) {
			spent = spent.Add(r.Amount)
		}
	}
	if spent.Cmp(spend.MustMoney("5")) < 0 {
		t.Fatalf("the world has spent %s only", spent)
	}
	for cents, status := range map[int]string{100: "enforcing", 1e9: "inactive"} {
		code, got := call(t, w, simulator.OpenAI, http.MethodPost, path, limit(cents))
		want := map[string]any{
			"object": "project.spend_limit", "threshold_amount": float64(cents), "currency": "USD", "interval": "month",
			"enforcement": map[string]any{"status": status},
		}
		if diff := cmp.Diff(want, got); code != 200 || diff != "" {
			t.Errorf("%d: %d %s", cents, code, diff)
		}
		if got, ok := w.SpendLimit(project); !ok || got != int64(cents) {
			t.Errorf("the world has %d, want %d", got, cents)
		}
	}
	code, got := call(t, w, simulator.OpenAI, http.MethodDelete, path, "")
	if code != 200 || got["deleted"] != true || got["object"] != "project.spend_limit.deleted" {
		t.Errorf("deleting: %d %v", code, got)
	}
	if _, ok := w.SpendLimit(project); ok {
		t.Error("the limit is still there")
	}
	if code, _ := call(t, w, simulator.OpenAI, http.MethodDelete, path, ""); code != 404 {
		t.Errorf("deleting again: %d", code)
	}
	if code, _ := call(t, w, simulator.OpenAI, http.MethodPost,
		"/v1/organization/projects/proj_none/spend_limit", limit(1)); code != 404 {
		t.Errorf("unknown project: %d", code)
	}
}

func TestAdminEndpointsWantTheAdminKey(t *testing.T) {
	w := tiny()
	oa, an := w.APIKeys(simulator.OpenAI)[0], w.APIKeys(simulator.Anthropic)[0]
	for _, c := range []struct {
		provider, method, path, header, value string
		status                                int
	}{
		{simulator.OpenAI, http.MethodDelete, "/v1/organization/projects/" + oa.Project + "/api_keys/" + oa.ID, "Authorization", "", 401},
		{simulator.OpenAI, http.MethodDelete, "/v1/organization/projects/" + oa.Project + "/api_keys/" + oa.ID, "Authorization", "Bearer sk-proj-x", 403},
		{simulator.OpenAI, http.MethodDelete, "/v1/organization/projects/" + oa.Project + "/spend_limit", "Authorization", "Bearer nonsense", 401},
		{simulator.Anthropic, http.MethodPost, anthropicKeys + "/" + an.ID, "X-Api-Key", "sk-ant-api03-x", 403},
		{simulator.Anthropic, http.MethodPost, anthropicKeys + "/" + an.ID, "X-Api-Key", "", 401},
		{simulator.Anthropic, http.MethodPost, anthropicKeys + "/" + an.ID, "Anthropic-Version", "", 400},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(`{"status":"inactive"}`))
		r.Header = request(t, w, c.provider, "/", nil).Header
		r.Header.Set("Content-Type", "application/json")
		r.Header.Del(c.header)
		if c.value != "" {
			r.Header.Set(c.header, c.value)
		}
		rec := httptest.NewRecorder()
		handler(w, c.provider).ServeHTTP(rec, r)
		if rec.Code != c.status {
			t.Errorf("%+v: %d %s", c, rec.Code, rec.Body)
		}
	}
	for _, k := range append(w.APIKeys(simulator.OpenAI), w.APIKeys(simulator.Anthropic)...) {
		if k.Status != simulator.KeyActive {
			t.Errorf("%s became %s", k.ID, k.Status)
		}
	}
}

func TestAChangeIsDeclaredToBeJSON(t *testing.T) {
	w := tiny()
	id, project := w.APIKeys(simulator.Anthropic)[0].ID, w.Projects(simulator.OpenAI)[0]
	for _, c := range []struct{ provider, path, body string }{
		{simulator.Anthropic, anthropicKeys + "/" + id, `{"status": "inactive"}`},
		{
			simulator.OpenAI, "/v1/organization/projects/" + project + "/spend_limit",
			`{"threshold_amount": 1, "currency": "USD", "interval": "month"}`,
		},
	} {
		for ctype, status := range map[string]int{"": 400, "text/plain": 400, "application/json; charset=utf-8": 200} {
			r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
			r.Header = request(t, w, c.provider, "/", nil).Header
			r.Header.Set("Content-Type", ctype)
			rec := httptest.NewRecorder()
			handler(w, c.provider).ServeHTTP(rec, r)
			if rec.Code != status {
				t.Errorf("%s as %q: %d %s", c.path, ctype, rec.Code, rec.Body)
			}
		}
	}
}

func TestFaultsHitAdminEndpoints(t *testing.T) {
	w := tiny()
	id := w.APIKeys(simulator.Anthropic)[0].ID
	w.Inject(simulator.Fault{Source: "anthropic/api_keys", Times: 1, Do: simulator.RateLimited("7")})
	code, _ := call(t, w, simulator.Anthropic, http.MethodPost, anthropicKeys+"/"+id, `{"status":"inactive"}`)
	if k, _ := w.APIKey(id); code != 429 || k.Status != simulator.KeyActive {
		t.Errorf("%d, the key is %s", code, k.Status)
	}
	remove := w.Inject(simulator.Fault{Source: "anthropic", Do: simulator.Status(500)})
	if code, _ = call(t, w, simulator.Anthropic, http.MethodGet, anthropicKeys, ""); code != 500 {
		t.Errorf("%d", code)
	}
	remove()
	if code, _ = call(t, w, simulator.Anthropic, http.MethodGet, anthropicKeys, ""); code != 200 {
		t.Errorf("%d", code)
	}
}

func TestAdminStateIsSafeForConcurrentUse(t *testing.T) {
	w := tiny()
	k := w.APIKeys(simulator.OpenAI)[0]
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w.SetSpendLimit(k.Project, 100)
			call(t, w, simulator.OpenAI, http.MethodDelete, "/v1/organization/projects/"+k.Project+"/api_keys/"+k.ID, "")
			call(t, w, simulator.OpenAI, http.MethodGet, "/v1/organization/projects/"+k.Project+"/spend_limit", "")
			w.PutAPIKey(k)
		})
	}
	all.Wait()
}
