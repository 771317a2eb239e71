package api

import (
	"bytes"
	"html/template"
)

// pageTemplate needs nothing from elsewhere, and no script.
var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>recsys-benthos: HTTP interface</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
section { border-top: 1px solid #8884; padding: .5rem 0 }
h2 { font: 600 1rem/1.5 ui-monospace, monospace; margin: .5rem 0; overflow-wrap: anywhere }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .1rem 1.5rem .1rem 0; font-size: .9rem; font-weight: 400 }
code { font-family: ui-monospace, monospace } small { opacity: .8 }
</style>
<h1>HTTP interface</h1>
<p>A request here is the message on Kafka of the same kind, and so is its full reply (<code>format=full</code>). Errors are
<code>application/problem+json</code>. For programs: <a href="/api/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
{{range .}}<section><h2>{{.Method}} {{.Path}}</h2>
<p>{{.Summary}}.{{if .Scope}} <small>Scope {{.Scope}}.</small>{{end}}{{if .Body}} <small>Body {{.Body}}.</small>{{end}} <small>Reply {{.Reply}}.</small></p>
{{if .Params}}<table>{{range .Params}}<tr><th scope="row"><code>{{.Name}}</code></th><td>{{.Description}}{{if eq .Type "integer"}} From {{.Min}} to {{.Max}}.{{end}}{{range .Enum}} <code>{{.}}</code>{{end}}</td></tr>{{end}}</table>{{end}}
</section>
{{end}}</html>
`))

// Page returns the routes as HTML for people.
func Page() ([]byte, error) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, routes); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(page.Bytes(), []byte("{$}"), nil), nil
}
