package api

import "net/http"

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
		Params: []Param{text("a", "The name of a version, champion or challenger:NAME.", false), text("b", "Another one.", false)},
		Reply:  "Compared", direct: (*decoder).compareModels,
	},
	{
		Method: http.MethodPost, Path: "/api/models/promote", Kind: Direct, Scope: Admin, Summary: "Makes a version the champion, if the gate is not against it, or a challenger",
		Body: "RoleChange", Reply: "RoleChanged", direct: (*decoder).promoteModel,
	},
	{
		Method: http.MethodPost, Path: "/api/models/rollback", Kind: Direct, Scope: Admin, Summary: "Makes that version the champion again which the present one replaced",
		Body: "RoleChange", Reply: "RoleChanged", direct: (*decoder).rollbackModel, bare: true,
	},
	{
		Method: http.MethodPost, Path: "/api/models/withdraw", Kind: Direct, Scope: Admin, Summary: "Takes the role of a challenger from its version",
		Body: "RoleChange", Reply: "RoleChanged", direct: (*decoder).withdrawModel,
	},
}
