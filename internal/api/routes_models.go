package api

import "net/http"

// version is a parameter that must be given.
func version(name, description string) Param {
	return Param{Name: name, In: "query", Type: "string", Description: description, Needed: true}
}

// modelRoutes tell which versions there are, and change which of them serve.
var modelRoutes = []*Route{
	{
		Method: http.MethodGet, Path: "/api/models", Kind: Direct, Scope: Read, Summary: "The versions of the registry, with roles, metrics and what the gate said",
		Reply: "Models", direct: (*decoder).listModels,
	},
	{
		Method: http.MethodGet, Path: "/api/models/{version}", Kind: Direct, Scope: Read, Summary: "The manifest of a version",
		Params: []Param{{Name: "version", In: "path", Type: "string", Description: "Its name, champion or challenger:NAME."}},
		Reply:  "Model", direct: (*decoder).getModel,
	},
	{
		Method: http.MethodGet, Path: "/api/models/compare", Kind: Direct, Scope: Read, Summary: "Two versions side by side",
		Params: []Param{version("a", "The name of a version, champion or challenger:NAME."), version("b", "Another one.")},
		Reply:  "Compared", direct: (*decoder).compareModels,
	},
	{
		Method: http.MethodPost, Path: "/api/models/promote", Kind: Direct, Scope: Admin, Summary: "Makes a version the champion, if the gate is not against it, or a challenger",
		Body: "Promotion", Reply: "RoleChanged", direct: (*decoder).promoteModel,
	},
	{
		Method: http.MethodPost, Path: "/api/models/rollback", Kind: Direct, Scope: Admin, Summary: "Makes that version the champion again which the present one replaced",
		Body: "Rollback", Reply: "RoleChanged", direct: (*decoder).rollbackModel, bare: true,
	},
	{
		Method: http.MethodPost, Path: "/api/models/withdraw", Kind: Direct, Scope: Admin, Summary: "Takes the role of a challenger from its version",
		Body: "Withdrawal", Reply: "RoleChanged", direct: (*decoder).withdrawModel,
	},
}
