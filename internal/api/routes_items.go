package api

import "net/http"

var (
	cursor   = Param{Name: "cursor", In: "query", Type: "string", Description: "The Cursor of the page before; none for the first page.", Pattern: `^[0-9]{0,18}$`}
	category = Param{Name: "category", In: "path", Type: "string", Description: "A genre.", Pattern: `\S`, Longest: longestGenre}
)

// itemRoutes change movies and list them.
var itemRoutes = []*Route{
	{
		Method: http.MethodPost, Path: "/api/item", Kind: Feedback, Scope: Write, Summary: "Adds a movie, or says all of one anew; durable before the answer",
		Body: "NewItem", Reply: "RowAffected", decode: (*decoder).items, one: true,
	},
	{
		Method: http.MethodPost, Path: "/api/items", Kind: Feedback, Scope: Write, Summary: "The same for many movies",
		Body: "ItemList", Reply: "RowAffected", decode: (*decoder).items,
	},
	{
		Method: http.MethodPatch, Path: "/api/item/{movie}", Kind: Feedback, Scope: Write, Summary: "Changes what the body names of a movie",
		Params: []Param{movie}, Body: "Item", Reply: "RowAffected", decode: (*decoder).patchItem, merges: true,
	},
	{
		Method: http.MethodDelete, Path: "/api/item/{movie}", Kind: Feedback, Scope: Write, Summary: "Hides a movie from all lists; its ratings stay, and IsHidden false brings it back",
		Params: []Param{movie}, Reply: "RowAffected", decode: (*decoder).hideItem, merges: true,
	},
	{
		Method: http.MethodPut, Path: "/api/item/{movie}/category/{category}", Kind: Feedback, Scope: Write, Summary: "Adds a genre to a movie",
		Params: []Param{movie, category}, Reply: "RowAffected", decode: (*decoder).addCategory, merges: true,
	},
	{
		Method: http.MethodDelete, Path: "/api/item/{movie}/category/{category}", Kind: Feedback, Scope: Write, Summary: "Takes a genre from a movie",
		Params: []Param{movie, category}, Reply: "RowAffected", decode: (*decoder).removeCategory, merges: true,
	},
	{
		Method: http.MethodGet, Path: "/api/item/{movie}", Kind: Direct, Scope: Read, Summary: "A movie of the catalog",
		Params: []Param{movie}, Reply: "Item", direct: (*decoder).getItem,
	},
	{
		Method: http.MethodGet, Path: "/api/items", Kind: Direct, Scope: Read, Summary: "The movies of the catalog in the order of ids, hidden ones too",
		Params: []Param{page[0], cursor, text("q", "Only movies with this in their titles, in any case.", false)}, Reply: "Items", direct: (*decoder).getItems,
	},
	{
		Method: http.MethodGet, Path: "/api/latest", Kind: Direct, Scope: Read, Summary: "The newest movies: by when they were entered, then by year and id",
		Params: params(page, filters[:4]), Reply: "Scores", direct: (*decoder).latest,
	},
	{
		Method: http.MethodGet, Path: "/api/latest/{category}", Kind: Direct, Scope: Read, Summary: "The newest movies of a genre",
		Params: params([]Param{category}, page, filters[1:4]), Reply: "Scores", direct: (*decoder).latest,
	},
	{
		Method: http.MethodGet, Path: "/api/non-personalized/latest", Kind: Direct, Scope: Read, Summary: "The newest movies, at Gorse's path",
		Params: params(page, filters[:4]), Reply: "Scores", direct: (*decoder).latest,
	},
	{
		Method: http.MethodGet, Path: "/api/popular/{category}", Kind: Recommend, Scope: Read, Summary: "The movies of a genre that most people like",
		Params: params([]Param{category}, page, filters[1:], []Param{format}), Reply: "Scores", shape: scores, decode: (*decoder).popular,
	},
}
