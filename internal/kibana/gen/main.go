// Command gen writes config/kibana/recsys-benthos.ndjson: a data view of the
// predictions, the panels on them, and the dashboard that holds the panels, in the
// form in which Kibana exports saved objects. `go generate ./internal/kibana` runs it.
//
// Kibana keeps columns of formulae, panels of a dashboard and search sources twice,
// as text inside of JSON and as references; written by hand they would soon
// disagree.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "gen: name the file to write, as go generate ./internal/kibana does")
		os.Exit(2)
	}
	text, err := export()
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// export is the whole file: one object a line, what is referred to first, and the
// summary that Kibana ends its own exports with.
func export() ([]byte, error) {
	objects, err := savedObjects()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for _, o := range objects {
		if err := encoder.Encode(o); err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", o.Type, o.ID, err)
		}
	}
	err = encoder.Encode(map[string]any{
		"exportedCount": len(objects), "missingRefCount": 0, "missingReferences": []any{},
		"excludedObjectsCount": 0, "excludedObjects": []any{},
	})
	return out.Bytes(), err
}
