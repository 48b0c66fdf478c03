// Package dashboards_test checks the Grafana dashboards: their shape, that every
// metric in them exists, and that a real Prometheus answers every query.
package dashboards_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// board is the part of Grafana's classic dashboard model that ours use: decoding
// refuses everything else, so that a typing error does not pass as a setting.
type board struct {
	UID                  string     `json:"uid"`
	Title                string     `json:"title"`
	Description          string     `json:"description"`
	Tags                 []string   `json:"tags"`
	SchemaVersion        int        `json:"schemaVersion"`
	Version              int        `json:"version"`
	Editable             bool       `json:"editable"`
	GraphTooltip         int        `json:"graphTooltip"`
	LiveNow              bool       `json:"liveNow"`
	Preload              bool       `json:"preload"`
	FiscalYearStartMonth int        `json:"fiscalYearStartMonth"`
	WeekStart            string     `json:"weekStart"`
	Timezone             string     `json:"timezone"`
	Refresh              string     `json:"refresh"`
	Time                 timeRange  `json:"time"`
	Timepicker           struct{}   `json:"timepicker"`
	Links                []link     `json:"links"`
	Annotations          markList   `json:"annotations"`
	Templating           varList    `json:"templating"`
	Panels               []panel    `json:"panels"`
	file                 string     // where it was read
	variables            []variable // of Templating
}

type timeRange struct{ From, To string }

type link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	Icon        string   `json:"icon"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	TargetBlank bool     `json:"targetBlank"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
}

type markList struct {
	List []struct {
		Name        string     `json:"name"`
		Datasource  datasource `json:"datasource"`
		Enable      bool       `json:"enable"`
		Hide        bool       `json:"hide"`
		IconColor   string     `json:"iconColor"`
		Expr        string     `json:"expr"`
		Step        string     `json:"step"`
		TitleFormat string     `json:"titleFormat"`
		TextFormat  string     `json:"textFormat"`
		TagKeys     string     `json:"tagKeys"`
	} `json:"list"`
}

type varList struct {
	List []variable `json:"list"`
}

type variable struct {
	Name        string          `json:"name"`
	Label       string          `json:"label"`
	Description string          `json:"description"`
	Type        string          `json:"type"`
	Datasource  datasource      `json:"datasource"`
	Query       json.RawMessage `json:"query"`
	Regex       string          `json:"regex"`
	Refresh     int             `json:"refresh"`
	Sort        int             `json:"sort"`
	Hide        int             `json:"hide"`
	Multi       bool            `json:"multi"`
	IncludeAll  bool            `json:"includeAll"`
	AllValue    string          `json:"allValue"`
	Options     []struct{}      `json:"options"`
	SkipURLSync bool            `json:"skipUrlSync"`
	Current     struct {
		Text  []string `json:"text"`
		Value []string `json:"value"`
	} `json:"current"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type gridPos struct{ X, Y, W, H int }

type panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description"`
	Datasource      datasource       `json:"datasource"`
	PluginVersion   string           `json:"pluginVersion"`
	GridPos         gridPos          `json:"gridPos"`
	FieldConfig     fieldConfig      `json:"fieldConfig"`
	Options         json.RawMessage  `json:"options"` // checked by typecheck.mjs
	Targets         []target         `json:"targets"`
	Transformations []transformation `json:"transformations"`
	Repeat          string           `json:"repeat"`
	RepeatDirection string           `json:"repeatDirection"`
	MaxPerRow       int              `json:"maxPerRow"`
	Collapsed       bool             `json:"collapsed"` // of a row
	Panels          []struct{}       `json:"panels"`    // of a row; ours hold none
}

type fieldConfig struct {
	Defaults struct {
		Unit       string          `json:"unit"`
		Decimals   *int            `json:"decimals"`
		Min        *float64        `json:"min"`
		Max        *float64        `json:"max"`
		Color      json.RawMessage `json:"color"` // this and the next: checked by typecheck.mjs
		Thresholds json.RawMessage `json:"thresholds"`
		Mappings   json.RawMessage `json:"mappings"`
		Links      json.RawMessage `json:"links"`
		Custom     json.RawMessage `json:"custom"`
	} `json:"defaults"`
	Overrides []struct {
		Matcher struct {
			ID      string `json:"id"`
			Options string `json:"options"`
		} `json:"matcher"`
		Properties []struct {
			ID    string          `json:"id"`
			Value json.RawMessage `json:"value"`
		} `json:"properties"`
	} `json:"overrides"`
}

type target struct {
	RefID        string     `json:"refId"`
	Datasource   datasource `json:"datasource"`
	EditorMode   string     `json:"editorMode"`
	Expr         string     `json:"expr"`
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
	Format       string     `json:"format"`
	LegendFormat string     `json:"legendFormat"`
}

type transformation struct {
	ID      string `json:"id"`
	Options struct {
		ExcludeByName map[string]bool   `json:"excludeByName"`
		IncludeByName map[string]bool   `json:"includeByName"`
		IndexByName   map[string]int    `json:"indexByName"`
		RenameByName  map[string]string `json:"renameByName"`
		ColumnField   string            `json:"columnField"`
		RowField      string            `json:"rowField"`
		ValueField    string            `json:"valueField"`
		EmptyValue    string            `json:"emptyValue"`
		Fields        struct{}          `json:"fields"`
		Sort          []struct {
			Field string `json:"field"`
			Desc  bool   `json:"desc"`
		} `json:"sort"`
	} `json:"options"`
}

// query returns what a query variable asks for.
func (v variable) query(t *testing.T) string {
	t.Helper()
	var q struct {
		Query   string `json:"query"`
		RefID   string `json:"refId"`
		QryType int    `json:"qryType"`
	}
	decode(t, v.Name, v.Query, &q)
	return q.Query
}

func decode(t *testing.T, what string, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// load reads every dashboard of this directory.
func load(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("dashboards found: %v, %v", files, err)
	}
	var out []board
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var b board
		decode(t, file, text, &b)
		b.file, b.variables = file, b.Templating.List
		out = append(out, b)
	}
	return out
}

// queries calls f for every query of the panels and annotations of b; where names
// it in messages.
func (b board) queries(f func(where string, q target)) {
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			f(b.UID+"/"+p.Title+"/"+q.RefID, q)
		}
	}
	for _, a := range b.Annotations.List {
		f(b.UID+"/annotation "+a.Name, target{Expr: a.Expr, Range: true})
	}
}
