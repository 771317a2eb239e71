package lens

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// newest is what Kibana 8 of any version imports: what is newer than a Kibana is
// refused by it, what is older it migrates.
var newest = map[string]string{"index-pattern": "8.0.0", "lens": "8.9.0", "dashboard": "8.9.0", "search": "8.0.0"}

const newestCore = "8.8.0"

const gridWidth = 48 // of Kibana's dashboards

// Check says what is wrong with an export: references that lead nowhere, fields that
// the index template has not or whose type an operation cannot take, versions that
// are refused, panels over one another, titles that two have.
func Check(objects []Object, template []byte) (problems []string, err error) {
	c := checker{byID: map[string]Object{}, titles: map[string]string{}}
	if c.fields, c.patterns, err = mapping(template); err != nil {
		return nil, err
	}
	for _, o := range objects {
		if _, twice := c.byID[o.Type+"/"+o.ID]; twice {
			c.add("%s %s is there twice", o.Type, o.ID)
		}
		c.byID[o.Type+"/"+o.ID] = o
	}
	for _, o := range objects {
		if err := c.object(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Type, o.ID, err)
		}
	}
	slices.Sort(c.problems)
	return c.problems, nil
}

type checker struct {
	byID     map[string]Object
	titles   map[string]string
	fields   map[string]string // by name: their types
	patterns []string
	problems []string
}

func (c *checker) add(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// mapping is the fields of an index template by their full names.
func mapping(template []byte) (fields map[string]string, patterns []string, err error) {
	type field struct {
		Type   string
		Fields map[string]struct{ Type string }
	}
	var read struct {
		Patterns []string `json:"index_patterns"`
		Template struct {
			Mappings struct{ Properties map[string]field }
		}
	}
	if err := json.Unmarshal(template, &read); err != nil {
		return nil, nil, fmt.Errorf("reading the index template: %w", err)
	}
	fields = map[string]string{}
	for name, f := range read.Template.Mappings.Properties {
		fields[name] = f.Type
		for inner, f := range f.Fields {
			fields[name+"."+inner] = f.Type
		}
	}
	return fields, read.Patterns, nil
}

func (c *checker) object(o Object) error {
	if _, known := newest[o.Type]; !known {
		c.add("%s %s is of a type that is not checked", o.Type, o.ID)
		return nil
	}
	if newer(o.TypeVersion, newest[o.Type]) || newer(o.Core, newestCore) {
		c.add("%s %s has the versions %q and %q: Kibana refuses what is newer than %s and %s", o.Type, o.ID, o.TypeVersion, o.Core, newest[o.Type], newestCore)
	}
	names := map[string]bool{}
	for _, r := range o.References {
		if names[r.Name] {
			c.add("%s %s has the reference %s twice", o.Type, o.ID, r.Name)
		}
		names[r.Name] = true
		if _, there := c.byID[r.Type+"/"+r.ID]; !there {
			c.add("%s %s refers to %s %s, which is not in the file", o.Type, o.ID, r.Type, r.ID)
		}
	}
	var titled struct{ Title string }
	if err := json.Unmarshal(o.Attributes, &titled); err != nil {
		return err
	}
	if before, taken := c.titles[o.Type+titled.Title]; taken || titled.Title == "" {
		c.add("%s %s has the title %q of %q", o.Type, o.ID, titled.Title, before)
	}
	c.titles[o.Type+titled.Title] = o.ID
	switch o.Type {
	case "index-pattern":
		return c.dataView(o)
	case "lens":
		return c.panel(o, names)
	case "search":
		return c.search(o, names)
	}
	return c.dashboard(o)
}

// newer compares versions of three numbers; what is no such version is newer.
func newer(version, limit string) bool {
	a, b := strings.Split(version, "."), strings.Split(limit, ".")
	if len(a) != 3 {
		return true
	}
	for i := range b {
		m, err := strconv.Atoi(a[i])
		n, _ := strconv.Atoi(b[i])
		if err != nil || m != n {
			return err != nil || m > n
		}
	}
	return false
}

func (c *checker) dataView(o Object) error {
	var view DataView
	if err := json.Unmarshal(o.Attributes, &view); err != nil {
		return err
	}
	if !slices.Contains(c.patterns, view.Title) {
		c.add("the data view %s is of %s, the index template of %v", o.ID, view.Title, c.patterns)
	}
	c.use(o, Use{view.TimeFieldName, "date_histogram"})
	var formats map[string]any
	if err := Decode(view.FieldFormatMap, &formats); err != nil {
		return err
	}
	for field := range formats {
		c.use(o, Use{field, "show"})
	}
	return nil
}

// Types that an operation takes; others take any.
var (
	numbers   = []string{"long", "integer", "float", "double"}
	operation = map[string][]string{
		"date_histogram": {"date"}, "terms": {"keyword", "long", "boolean"}, "average": numbers, "sum": numbers, "min": numbers, "max": numbers,
		"standard_deviation": numbers, "median": numbers, "sort": {"date", "keyword", "long", "float"},
	}
)

func (c *checker) use(o Object, use Use) {
	kind, there := c.fields[use.Field]
	if !there {
		c.add("%s %s uses the field %s, which the index template has not", o.Type, o.ID, use.Field)
	} else if takes, some := operation[use.Operation]; some && !slices.Contains(takes, kind) {
		c.add("%s %s does %s with the field %s, which is of type %s", o.Type, o.ID, use.Operation, use.Field, kind)
	}
}

func (c *checker) panel(o Object, references map[string]bool) error {
	p, err := ReadPanel(o)
	if err != nil {
		return err
	}
	for _, use := range p.Uses() {
		c.use(o, use)
	}
	var layers struct {
		State struct {
			DatasourceStates struct {
				FormBased struct{ Layers map[string]any }
			}
		}
	}
	if err := json.Unmarshal(o.Attributes, &layers); err != nil {
		return err
	}
	for layer := range layers.State.DatasourceStates.FormBased.Layers {
		if !references["indexpattern-datasource-layer-"+layer] {
			c.add("lens %s has no data view for its layer %s", o.ID, layer)
		}
	}
	if ordered := slices.Sorted(slices.Values(p.Order)); !slices.Equal(ordered, slices.Sorted(maps.Keys(p.Columns))) {
		c.add("lens %s orders the columns %v, which are not those it has", o.ID, ordered)
	}
	if len(p.Accessors) == 0 {
		c.add("lens %s draws nothing", o.ID)
	}
	for _, id := range p.Accessors {
		if _, there := p.Columns[id]; !there {
			c.add("lens %s draws the column %s, which it has not", o.ID, id)
		}
	}
	if _, err := p.Request(nil, "1h"); err != nil {
		c.add("%v", err)
	}
	return nil
}

func (c *checker) search(o Object, references map[string]bool) error {
	var s Search
	if err := json.Unmarshal(o.Attributes, &s); err != nil {
		return err
	}
	for _, column := range s.Columns {
		c.use(o, Use{column, "show"})
	}
	for _, sort := range s.Sort {
		c.use(o, Use{sort[0], "sort"})
	}
	var source struct{ IndexRefName string }
	if err := Decode(s.Meta.SearchSourceJSON, &source); err != nil {
		return err
	}
	if !references[source.IndexRefName] {
		c.add("search %s has no data view", o.ID)
	}
	return nil
}

func (c *checker) dashboard(o Object) error {
	var d Dashboard
	if err := json.Unmarshal(o.Attributes, &d); err != nil {
		return err
	}
	var panels []Placed
	if err := Decode(d.PanelsJSON, &panels); err != nil {
		return err
	}
	placed := map[string]bool{}
	for i, p := range panels {
		g := p.GridData
		if p.PanelIndex != g.I || placed[g.I] || g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > gridWidth {
			c.add("dashboard %s: the place of panel %s is %+v", o.ID, p.PanelIndex, g)
		}
		placed[g.I] = true
		for _, other := range panels[:i] {
			if h := other.GridData; g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H {
				c.add("dashboard %s: the panels %s and %s are over one another", o.ID, p.PanelIndex, other.PanelIndex)
			}
		}
		named := slices.ContainsFunc(o.References, func(r Reference) bool { return r.Name == p.PanelIndex+":"+p.PanelRefName && r.Type == p.Type })
		if !named {
			c.add("dashboard %s: panel %s refers to nothing", o.ID, p.PanelIndex)
		}
	}
	for key, other := range c.byID {
		if kind := other.Type; kind != "lens" && kind != "search" {
			continue
		}
		if !slices.ContainsFunc(o.References, func(r Reference) bool { return r.Type+"/"+r.ID == key }) {
			c.add("dashboard %s does not show %s", o.ID, key)
		}
	}
	return nil
}
