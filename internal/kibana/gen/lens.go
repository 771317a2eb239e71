package main

import (
	"encoding/json"
	"fmt"
)

// Versions of the forms that objects are written in. Kibana migrates what is older
// than it is, and refuses what is newer, so these are the oldest that say all.
const (
	coreVersion      = "8.8.0"
	lensVersion      = "8.9.0"
	dashboardVersion = "8.9.0"
	searchVersion    = "8.0.0"
	dataViewVersion  = "8.0.0"
)

// savedObject is one line of an export.
type savedObject struct {
	ID          string      `json:"id"`
	Type        string      `json:"type"`
	Attributes  any         `json:"attributes"`
	References  []reference `json:"references"`
	Core        string      `json:"coreMigrationVersion"`
	TypeVersion string      `json:"typeMigrationVersion"`
	Managed     bool        `json:"managed"`
}

// reference is another object that one names.
type reference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// fields is any JSON object; encoding sorts its keys, which keeps the file as it is.
type fields map[string]any

// column is a column of the table that a panel draws.
type column struct {
	id     string
	fields fields
	parts  []column // of a formula: what it is computed from
}

// dataLayer is the only layer of each panel.
const dataLayer = "predictions"

const everything = "___records___" // Kibana's field for whole documents

func timeColumn() column {
	return column{id: "time", fields: fields{
		"label": "Time of prediction", "customLabel": true, "dataType": "date", "operationType": "date_histogram",
		"sourceField": "predicted_at", "isBucketed": true, "scale": "interval",
		"params": fields{"interval": "auto", "includeEmptyRows": false, "dropPartials": false},
	}}
}

// termsColumn is the most frequent values of a field by the given metric, or by how
// many documents have them where it is nil.
func termsColumn(id, label, field string, size int, by *column) column {
	order := fields{"type": "custom"}
	params := fields{
		"size": size, "orderBy": order, "orderDirection": "desc", "otherBucket": false, "missingBucket": false,
		"parentFormat": fields{"id": "terms"}, "include": []any{}, "exclude": []any{}, "includeIsRegex": false, "excludeIsRegex": false,
	}
	if by == nil {
		params["orderAgg"] = countColumn("", "Predictions", "").fields
	} else {
		order["type"], order["columnId"] = "column", by.id
	}
	return column{id: id, fields: fields{
		"label": label, "customLabel": true, "dataType": "string", "operationType": "terms", "sourceField": field,
		"isBucketed": true, "scale": "ordinal", "params": params,
	}}
}

func countColumn(id, label, filter string) column {
	return metricColumn(id, label, "count", everything, filter)
}

// metricColumn aggregates a field over the documents that match filter, all if it
// is empty.
func metricColumn(id, label, operation, field, filter string) column {
	c := fields{
		"label": label, "customLabel": true, "dataType": "number", "operationType": operation, "sourceField": field,
		"isBucketed": false, "scale": "ratio", "params": fields{"emptyAsNull": true},
	}
	if operation != "count" {
		c["params"] = fields{"emptyAsNull": true, "format": fields{"id": "number", "params": fields{"decimals": 3}}}
	}
	if filter != "" {
		c["filter"] = kuery(filter)
	}
	return column{id: id, fields: c}
}

// formulaColumn computes from aggregations. Kibana keeps a formula as its text, its
// tree, and a hidden column for each aggregation in it.
func formulaColumn(id, label, formula, format string) (column, error) {
	tree, aggregations, err := parseFormula(id, formula)
	if err != nil {
		return column{}, fmt.Errorf("formula %q: %w", formula, err)
	}
	part := "Part of " + formula
	c := column{id: id}
	names := []string{}
	for _, a := range aggregations {
		hidden := metricColumn(a.id, part, a.operation, a.field, a.kql)
		hidden.fields["params"] = fields{"emptyAsNull": false}
		c.parts = append(c.parts, hidden)
		names = append(names, a.id)
	}
	math := fmt.Sprintf("%sX%d", id, len(aggregations))
	c.parts = append(c.parts, column{id: math, fields: fields{
		"label": part, "customLabel": true, "dataType": "number", "operationType": "math", "isBucketed": false, "scale": "ratio",
		"params": fields{"tinymathAst": tree}, "references": names,
	}})
	c.fields = fields{
		"label": label, "customLabel": true, "dataType": "number", "operationType": "formula", "isBucketed": false, "scale": "ratio",
		"params":     fields{"formula": formula, "isFormulaBroken": false, "format": fields{"id": format, "params": fields{"decimals": 3}}},
		"references": []string{math},
	}
	return c, nil
}

// panel is a Lens visualization and its place on the dashboard, which is 48 wide.
type panel struct {
	id, title, description string
	kind                   string // lnsXY, …
	columns                []column
	visualization          fields // without the layer
	query                  string // KQL; which documents are looked at
	x, y, w, h             int
}

func (p panel) object() savedObject {
	columns, order, hidden := fields{}, []string{}, []string{}
	for _, c := range p.columns {
		columns[c.id] = c.fields
		order = append(order, c.id)
		for _, part := range c.parts {
			columns[part.id] = part.fields
			hidden = append(hidden, part.id)
		}
	}
	layer := fields{"columns": columns, "columnOrder": append(order, hidden...), "incompleteColumns": fields{}, "sampling": 1}
	return savedObject{
		ID: p.id, Type: "lens", Core: coreVersion, TypeVersion: lensVersion,
		References: []reference{{ID: dataViewID, Name: "indexpattern-datasource-layer-" + dataLayer, Type: "index-pattern"}},
		Attributes: fields{
			"title": p.title, "description": p.description, "visualizationType": p.kind,
			"state": fields{
				"datasourceStates":   fields{"formBased": fields{"layers": fields{dataLayer: layer}}},
				"visualization":      p.visualization,
				"query":              kuery(p.query),
				"filters":            []any{},
				"internalReferences": []any{},
				"adHocDataViews":     fields{},
			},
		},
	}
}

func kuery(query string) fields { return fields{"language": "kuery", "query": query} }

// text is JSON inside of a string, as Kibana keeps some attributes.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic("gen: only maps, lists, texts and numbers are encoded: " + err.Error())
	}
	return string(encoded)
}
