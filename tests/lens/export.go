// Package lens reads exports of Kibana's saved objects as Kibana does: which fields a
// Lens panel uses, the request that it sends to Elasticsearch, and the table that it
// draws from the answer. No Kibana runs in tests; Elasticsearch does.
package lens

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Object is a saved object.
type Object struct {
	ID, Type    string
	Attributes  json.RawMessage
	References  []Reference
	Core        string `json:"coreMigrationVersion"`
	TypeVersion string `json:"typeMigrationVersion"`
}

// Reference is an object that another one names.
type Reference struct{ ID, Name, Type string }

// Export reads a file of saved objects; the summary at its end must count them.
func Export(path string) ([]Object, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseExport(text)
}

func parseExport(text []byte) (objects []Object, err error) {
	exported := -1
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var o struct {
			Object
			ExportedCount *int
		}
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if o.ExportedCount != nil {
			exported = *o.ExportedCount
			continue
		}
		objects = append(objects, o.Object)
	}
	if exported != len(objects) {
		return nil, fmt.Errorf("%d objects, and the summary says %d", len(objects), exported)
	}
	return objects, nil
}

// DataView is a pattern of indices.
type DataView struct {
	Title          string
	TimeFieldName  string
	FieldFormatMap string
}

// Search is a table of documents.
type Search struct {
	Title   string
	Columns []string
	Sort    [][2]string
	Meta    struct{ SearchSourceJSON string } `json:"kibanaSavedObjectMeta"`
}

// Dashboard places panels.
type Dashboard struct {
	Title      string
	PanelsJSON string
}

// Placed is a panel of a dashboard.
type Placed struct {
	Type, PanelIndex, PanelRefName string
	GridData                       struct {
		X, Y, W, H int
		I          string
	}
}

// Panel is a Lens visualization. It draws one table, of one layer.
type Panel struct {
	ID, Title, Kind string
	Query           string
	Columns         map[string]Column
	Order           []string
	Accessors       []string // columns that are drawn
}

// Column is a column of the table.
type Column struct {
	Operation  string `json:"operationType"`
	Field      string `json:"sourceField"`
	Bucketed   bool   `json:"isBucketed"`
	Filter     *struct{ Language, Query string }
	References []string
	Params     struct {
		Size           int
		Interval       string
		OrderDirection string
		OrderBy        struct{ Type, ColumnID string }
		OrderAgg       *Column
		Formula        string
		TinymathAst    json.RawMessage
	}
}

// KQL is the filter of a column, "" without one.
func (c Column) KQL() string {
	if c.Filter == nil {
		return ""
	}
	return c.Filter.Query
}

// ReadPanel reads a saved object of type lens.
func ReadPanel(o Object) (p Panel, err error) {
	var read struct {
		Title             string
		VisualizationType string
		State             struct {
			DatasourceStates struct {
				FormBased struct {
					Layers map[string]struct {
						Columns     map[string]Column
						ColumnOrder []string
					}
				}
			}
			Visualization json.RawMessage
			Query         struct{ Language, Query string }
		}
	}
	if err := json.Unmarshal(o.Attributes, &read); err != nil {
		return p, fmt.Errorf("reading %s: %w", o.ID, err)
	}
	layers := read.State.DatasourceStates.FormBased.Layers
	if len(layers) != 1 {
		return p, fmt.Errorf("%s has %d layers, this package reads one", o.ID, len(layers))
	}
	p = Panel{ID: o.ID, Title: read.Title, Kind: read.VisualizationType, Query: read.State.Query.Query}
	for _, layer := range layers {
		p.Columns, p.Order = layer.Columns, layer.ColumnOrder
	}
	var drawn any
	if err := json.Unmarshal(read.State.Visualization, &drawn); err != nil {
		return p, fmt.Errorf("reading %s: %w", o.ID, err)
	}
	p.Accessors = accessors(drawn, nil)
	return p, nil
}

// accessorKeys are where visualizations name columns.
var accessorKeys = map[string]bool{
	"xAccessor": true, "yAccessor": true, "valueAccessor": true, "splitAccessor": true, "tagAccessor": true,
	"accessors": true, "primaryGroups": true, "metrics": true, "columnId": true,
}

func accessors(value any, found []string) []string {
	switch value := value.(type) {
	case []any:
		for _, inner := range value {
			found = accessors(inner, found)
		}
	case map[string]any:
		for key, inner := range value {
			if !accessorKeys[key] {
				found = accessors(inner, found)
				continue
			}
			names, several := inner.([]any)
			if !several {
				names = []any{inner}
			}
			for _, name := range names {
				found = append(found, fmt.Sprint(name))
			}
		}
	}
	return found
}
