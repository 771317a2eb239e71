package grafana

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// dashboard is what is checked of one.
type dashboard struct {
	Title       string
	Panels      []panel
	Annotations struct{ List []struct{ Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	Title, Type string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

// Series are what a process exports: of each metric, the labels of each series.
type Series map[string][]map[string]string

// added are the labels that Prometheus adds when it reads a process.
var added = []string{"instance", "job"}

var (
	sample     = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label      = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
	inLegend   = regexp.MustCompile(`\{\{ *([^} ]*) *\}\}`)
	variable   = regexp.MustCompile(`\$\{?([a-zA-Z_]+)\}?`)
	labelNames = regexp.MustCompile(`^label_values\(([a-z_]+), ([a-z_]+)\)$`)
)

// parseSeries reads the text of /metrics.
func parseSeries(text string) (Series, error) {
	found := Series{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		match := sample.FindStringSubmatch(line)
		if match == nil {
			return nil, fmt.Errorf("%q is no sample", line)
		}
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			labels[l[1]] = l[2]
		}
		found[match[1]] = append(found[match[1]], labels)
	}
	return found, nil
}

// check says what is wrong with a dashboard, by what a process exports.
func check(text []byte, exported Series) (problems []string, err error) {
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	variables := map[string]bool{}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		if match := labelNames.FindStringSubmatch(v.Definition); v.Type == "query" && (match == nil || exported[match[1]] == nil || !slices.Contains(added, match[2])) {
			add("variable %s: %q is of a metric or label that is not exported", v.Name, v.Definition)
		}
	}
	for _, a := range d.Annotations.List {
		for _, problem := range checkQuery(a.Expr, "", exported, variables) {
			add("an annotation: %s", problem)
		}
	}
	titles := map[string]bool{}
	for i, p := range d.Panels {
		if titles[p.Title] || p.Title == "" {
			add("panel %d has the title %q of another one", i+1, p.Title)
		}
		titles[p.Title] = true
		for _, other := range d.Panels[:i] {
			if a, b := p.GridPos, other.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				add("the panels %q and %q are over one another", p.Title, other.Title)
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			add("the panel %q is wider than the dashboard", p.Title)
		}
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" {
			add("the panel %q has no unit", p.Title)
		}
		if p.Datasource.UID != "${datasource}" || !variables["datasource"] {
			add("the panel %q is not of the data source that is chosen", p.Title)
		}
		if len(p.Targets) == 0 {
			add("the panel %q asks nothing", p.Title)
		}
		for _, t := range p.Targets {
			for _, problem := range checkQuery(t.Expr, t.LegendFormat, exported, variables) {
				add("the panel %q: %s", p.Title, problem)
			}
		}
	}
	return problems, nil
}

// checkQuery looks whether what a query names is exported.
func checkQuery(text, legend string, exported Series, variables map[string]bool) (problems []string) {
	add := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...)+" in "+text)
	}
	filled := variable.ReplaceAllStringFunc(text, func(found string) string {
		switch name := variable.FindStringSubmatch(found)[1]; {
		case name == "__rate_interval" || name == "__range" || name == "__interval":
			return "5m"
		case variables[name]:
			return ".*"
		}
		add("the variable %s is not there", found)
		return ".*"
	})
	q, err := parse(filled)
	if err != nil {
		add("%v", err)
		return problems
	}
	kept := []string{} // labels of the answer
	for _, s := range q.selectors {
		series := exported[s.Metric]
		if len(series) == 0 {
			add("the metric %s is not exported", s.Metric)
			continue
		}
		for _, m := range s.Matchers {
			if problem := mismatch(m, series); problem != "" {
				add("%s%s", s.Metric, problem)
			}
		}
		kept = append(kept, labelsOf(series)...)
	}
	for i, g := range q.groups {
		if i == 0 {
			kept = nil
		}
		kept = append(kept, g.labels...)
		for _, name := range g.labels {
			there := slices.ContainsFunc(g.selectors, func(s Selector) bool { return slices.Contains(labelsOf(exported[s.Metric]), name) })
			if !there && !slices.Contains(added, name) {
				add("no metric has the label %s", name)
			}
		}
	}
	for _, name := range inLegend.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(kept, name[1]) {
			add("the legend shows the label %s, which the answer has not", name[1])
		}
	}
	return problems
}

// mismatch says why no series can match, or "". A regular expression may match none
// at the moment, as that of errors should.
func mismatch(m Matcher, series []map[string]string) string {
	if slices.Contains(added, m.Label) {
		return ""
	}
	if !slices.Contains(labelsOf(series), m.Label) {
		return " has no label " + m.Label
	}
	if m.Operator == "=" && !slices.ContainsFunc(series, func(labels map[string]string) bool { return labels[m.Label] == m.Value }) {
		return fmt.Sprintf(" has no series with %s=%q", m.Label, m.Value)
	}
	if _, err := regexp.Compile(m.Value); strings.Contains(m.Operator, "~") && err != nil {
		return ": " + err.Error()
	}
	return ""
}

func labelsOf(series []map[string]string) (names []string) {
	for _, labels := range series {
		for name := range labels {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
