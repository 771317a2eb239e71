package api

import (
	"encoding/json"
	"slices"
	"strings"
)

type object = map[string]any

// OpenAPI returns the document of all routes, OpenAPI 3.1 in JSON. version is
// that of the program.
func OpenAPI(version string) ([]byte, error) {
	paths := object{}
	for _, r := range routes {
		path := strings.TrimSuffix(r.Path, "{$}")
		operations, ok := paths[path].(object)
		if !ok {
			operations = object{}
			paths[path] = operations
		}
		operations[strings.ToLower(r.Method)] = r.operation()
	}
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "recsys-benthos", "version": version,
			"description": "Movie recommendations and predicted ratings. A request here is the message on Kafka of the same kind, and so is its full reply. Errors are application/problem+json.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"components": object{
			"schemas": schemas(),
			"securitySchemes": object{
				"key":    object{"type": "apiKey", "in": "header", "name": "X-API-Key"},
				"bearer": object{"type": "http", "scheme": "bearer"},
			},
			"responses": object{"Problem": object{
				"description": "What is wrong, and what would mend it",
				"headers":     object{"Retry-After": object{"description": "Seconds after which the same request may succeed.", "schema": object{"type": "integer"}}},
				"content":     object{ProblemType: object{"schema": reference("Problem")}},
			}},
		},
	}, "", "  ")
}

func reference(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// operationID names the operation for generated clients.
func (r *Route) operationID() string {
	words := strings.FieldsFunc(strings.ToLower(r.Method)+strings.ReplaceAll(strings.TrimPrefix(r.Path, "/api"), "{$}", "all"), func(c rune) bool {
		return strings.ContainsRune("/{}-.", c)
	})
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

func (r *Route) operation() object {
	operation := object{"operationId": r.operationID(), "summary": r.Summary, "responses": r.responses()}
	var parameters []object
	for i := range r.Params {
		parameters = append(parameters, r.Params[i].parameter())
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if r.Body != "" {
		operation["requestBody"] = object{"required": !r.bare, "content": object{"application/json": object{"schema": reference(r.Body)}}}
	}
	if r.Scope != Public {
		operation["security"] = []object{{}, {"key": []string{}}, {"bearer": []string{}}}
		operation["description"] = "Needs the scope " + string(r.Scope) + " where keys are set."
	}
	return operation
}

func (r *Route) responses() object {
	mediaType, schema := "application/json", reference(r.Reply)
	switch r.Reply {
	case "Page":
		mediaType, schema = "text/html", object{"type": "string"}
	case "Document":
		schema = object{"type": "object"}
	case "Ids":
		schema = object{"anyOf": []object{reference("Ids"), reference("Scores"), reference("Recommendation")}}
	case "Recommendation":
		if slices.ContainsFunc(r.Params, func(p Param) bool { return p.Name == format.Name }) {
			schema = object{"anyOf": []object{reference("Recommendation"), reference("Ids"), reference("Scores")}}
		}
	case "Scores":
		schema = object{"anyOf": []object{reference("Scores"), reference("Recommendation")}}
	}
	responses := object{"200": object{"description": "The answer", "content": object{mediaType: object{"schema": schema}}}}
	problem := object{"$ref": "#/components/responses/Problem"}
	codes := []string{"400", "401", "403", "404", "405", "413", "422", "429", "500", "503", "504"}
	switch r.Local {
	case "ready":
		responses["503"] = object{"description": "Not ready, and why", "content": object{"application/json": object{"schema": reference("Health")}}}
		codes = []string{"405"}
	case "live", "openapi", "page":
		codes = []string{"405"}
	}
	for _, code := range codes {
		responses[code] = problem
	}
	if r.direct != nil {
		responses["501"] = problem
	}
	if r.Body != "" {
		responses["408"], responses["415"] = problem, problem
	}
	if r.Scope == Admin {
		responses["409"] = problem
	}
	if r.tagged {
		responses["304"] = object{"description": "The client has this answer: see ETag and If-None-Match"}
	}
	return responses
}

func (p *Param) parameter() object {
	schema := object{"type": p.Type}
	if p.Type == "integer" {
		schema["minimum"], schema["maximum"] = p.Min, p.Max
		schema["format"] = "int64"
		if p.In == "query" && p.Default >= p.Min {
			schema["default"] = p.Default
		}
	}
	if p.Enum != nil {
		schema["enum"] = p.Enum
	}
	if p.Pattern != "" {
		schema["pattern"] = p.Pattern
	}
	if p.Longest > 0 {
		schema["maxLength"] = p.Longest
	}
	if p.Many {
		schema = object{"type": "array", "items": schema}
	}
	return object{"name": p.Name, "in": p.In, "required": p.In == "path" || p.Needed, "description": p.Description, "schema": schema}
}
