package api

import (
	"net/http"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Kind says what a request's messages ask for. It is the field kind of the
// messages, except for feedback, whose messages are events of any type.
type Kind string

// The kinds of requests. None is a route that the server answers by itself, and
// that needs no key; Direct one that it answers from its Backend.
const (
	None      Kind = ""
	Predict   Kind = "predict"
	Recommend Kind = "recommend"
	Similar   Kind = "similar"
	Explain   Kind = "explain"
	Audience  Kind = "audience"
	Feedback  Kind = "feedback"
	Direct    Kind = "direct"
)

// Scope is what a key may do.
type Scope string

// Read is for all that changes nothing, Write for feedback, Admin for both and
// for what changes how the recommender runs. Public needs no key.
const (
	Public Scope = ""
	Read   Scope = "read"
	Write  Scope = "write"
	Admin  Scope = "admin"
)

// Includes reports whether a key with scope s may do what needs the other one.
func (s Scope) Includes(other Scope) bool { return s == other || s == Admin || other == Public }

// Limits of what one request may ask for.
const (
	MaxN      = 1000
	MaxOffset = message.MaxOffset
	MaxList   = 10_000 // movies in exclude, candidates and liked
	MaxPairs  = 1000   // of one POST /api/estimate
	MaxEvents = 10_000 // of one POST /api/feedback
	defaultN  = 10
)

// Param is a parameter in the path or the query.
type Param struct {
	Name, In, Description string
	Type                  string // of JSON Schema: integer, number, string
	Min, Max, Default     int64  // of an integer
	Many                  bool   // may be repeated
	Needed                bool   // in the query; in the path all are
	Enum                  []string
	Pattern               string // of a string, "" for any
	Longest               int    // characters of a string, 0 for any
}

// Route is one method of one path.
type Route struct {
	Method  string
	Path    string // as in patterns of net/http: /api/recommend/{user}
	Kind    Kind
	Scope   Scope
	Summary string
	Params  []Param
	Body    string // the schema's name, "" for none
	Reply   string // the schema's name
	// Name of what the server itself answers, where Kind is None: live, ready,
	// openapi, page.
	Local string

	of     string // similar: movies or users
	shape  shape  // of the reply where nothing else is asked for
	decode func(*decoder) *Problem
	direct func(*decoder) (any, *Problem) // of Direct
	merges bool                           // the messages depend on what is known: one after the other
	one    bool                           // not a list
	bare   bool                           // may have no body
	tagged bool                           // the reply depends on the path, the query and the model only
}

// Merges reports whether the messages of a request depend on what those of the
// request before it changed.
func (r *Route) Merges() bool { return r.merges }

func id(name, what string) Param {
	return Param{Name: name, In: "path", Type: "integer", Description: "The id of " + what + ".", Max: 1<<63 - 1}
}

func integer(name, description string, least, most, preset int64) Param {
	return Param{Name: name, In: "query", Type: "integer", Description: description, Min: least, Max: most, Default: preset}
}

func text(name, description string, many bool) Param {
	return Param{Name: name, In: "query", Type: "string", Description: description, Many: many}
}

// genre is that of a filter; clients send an empty one for all.
func genre(name, description string) Param {
	return Param{Name: name, In: "query", Type: "string", Description: description, Many: true, Pattern: `^$|\S`, Longest: longestGenre}
}

var (
	user  = id("user", "a user")
	movie = id("movie", "a movie")
	page  = []Param{
		integer("n", "How many.", 1, MaxN, defaultN),
		integer("offset", "How many of the best to leave out: the next page begins at offset + n.", 0, MaxOffset, 0),
	}
	format = Param{
		Name: "format", In: "query", Type: "string", Enum: []string{"short", "full"},
		Description: "full is the whole reply as it travels on Kafka: titles, genres, predictions, model version.",
	}
	filters = []Param{
		genre("category", "Only movies of this genre."),
		genre("not_category", "No movies of this genre."),
		integer("year_from", "No movies before this year.", 1800, 3000, 0),
		integer("year_to", "No movies after this year.", 1800, 3000, 0),
		integer("min_count", "No movies with fewer ratings.", 0, 1<<31-1, 0),
	}
	rotate = []Param{
		{Name: "rotate", In: "query", Type: "boolean", Description: "Whether the movies of the user's last three rotated lists come behind all others; without offset."},
	}
	reasons = []Param{
		{Name: "reasons", In: "query", Type: "boolean", Description: "Whether each movie has the user's own rating that speaks most for it, in replies of format=full."},
	}
	// Gorse's clients send these; they have no effect here.
	writeBack = []Param{
		text("write-back-type", "Has no effect.", false),
		text("write-back-delay", "Has no effect.", false),
	}
)

func params(groups ...[]Param) (all []Param) {
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

// Routes is the table of all routes. It must not be changed.
func Routes() []*Route { return routes }

var routes = slices.Concat(readRoutes, itemRoutes, userRoutes, modelRoutes, ownRoutes)

var readRoutes = []*Route{
	{
		Method: http.MethodGet, Path: "/api/recommend/{user}", Kind: Recommend, Scope: Read, Summary: "The best movies for a user",
		Params: params([]Param{user}, page, filters, rotate, reasons, []Param{format}, writeBack), Reply: "Ids", shape: ids, decode: (*decoder).recommend,
	},
	{
		Method: http.MethodGet, Path: "/api/recommend/{user}/{category}", Kind: Recommend, Scope: Read, Summary: "The best movies of a genre for a user",
		Params: params([]Param{user, category}, page, filters[1:], rotate, reasons, []Param{format}, writeBack),
		Reply:  "Ids", shape: ids, decode: (*decoder).recommend,
	},
	{
		Method: http.MethodGet, Path: "/api/recommend/{user}/{$}", Kind: Recommend, Scope: Read, Summary: "The best movies for a user, as Gorse's clients ask where they have no category",
		Params: params([]Param{user}, page, filters, rotate, reasons, []Param{format}, writeBack), Reply: "Ids", shape: ids, decode: (*decoder).recommend,
	},
	{
		Method: http.MethodPost, Path: "/api/recommend/{user}", Kind: Recommend, Scope: Read, Summary: "The best movies for a user, with lists of movies to exclude or to choose from",
		Params: []Param{user, format}, Body: "RecommendRequest", Reply: "Recommendation", shape: full, decode: (*decoder).recommendBody,
	},
	{
		Method: http.MethodPost, Path: "/api/recommend-anonymous", Kind: Recommend, Scope: Read, Summary: "The best movies for somebody who likes the given ones",
		Params: []Param{format}, Body: "AnonymousRequest", Reply: "Recommendation", shape: full, decode: (*decoder).anonymous,
	},
	{
		Method: http.MethodPost, Path: "/api/recommend-to-many", Kind: Recommend, Scope: Read, Summary: "One list for users who watch together: by the mean of their scores, without what any of them has rated",
		Params: []Param{format}, Body: "GroupRequest", Reply: "Recommendation", shape: full, decode: (*decoder).group,
	},
	{
		Method: http.MethodPost, Path: "/api/session/recommend", Kind: Recommend, Scope: Read, Summary: "The best movies for somebody who gave the given feedback",
		Params: params(page, filters, []Param{format}), Body: "SessionFeedback", Reply: "Scores", shape: scores, decode: (*decoder).session,
	},
	{
		Method: http.MethodGet, Path: "/api/popular", Kind: Recommend, Scope: Read, Summary: "The movies that most people like",
		Params: params(page, filters, []Param{format}), Reply: "Scores", shape: scores, decode: (*decoder).popular,
	},
	{
		Method: http.MethodGet, Path: "/api/non-personalized/popular", Kind: Recommend, Scope: Read, Summary: "The movies that most people like, at Gorse's path",
		Params: params(page, filters, []Param{format}), Reply: "Scores", shape: scores, decode: (*decoder).popular,
	},
	{
		Method: http.MethodGet, Path: "/api/estimate/{user}/{movie}", Kind: Predict, Scope: Read, Summary: "What a user would rate a movie",
		Params: []Param{user, movie}, Reply: "Prediction", shape: full, decode: (*decoder).estimate,
	},
	{
		Method: http.MethodPost, Path: "/api/estimate", Kind: Predict, Scope: Read, Summary: "What users would rate movies, many pairs at once",
		Body: "EstimateRequest", Reply: "Predictions", shape: list, decode: (*decoder).estimates,
	},
	{
		Method: http.MethodGet, Path: "/api/item/{movie}/neighbors", Kind: Similar, Scope: Read, Summary: "Movies that are like a movie",
		Params: params([]Param{movie}, page, filters, []Param{format}), Reply: "Scores", of: "movies", shape: scores, decode: (*decoder).similar, tagged: true,
	},
	{
		Method: http.MethodGet, Path: "/api/item/{movie}/audience", Kind: Audience, Scope: Read, Summary: "Users who would like a movie most",
		Params: params([]Param{movie}, page, []Param{format}), Reply: "Scores", shape: scores, decode: (*decoder).audience,
	},
	{
		Method: http.MethodGet, Path: "/api/user/{user}/neighbors", Kind: Similar, Scope: Read, Summary: "Users who are like a user",
		Params: params([]Param{user}, page, []Param{format}), Reply: "Scores", of: "users", shape: scores, decode: (*decoder).similar,
	},
	{
		Method: http.MethodGet, Path: "/api/because/{user}/{movie}", Kind: Explain, Scope: Read, Summary: "Which of a user's own ratings speak for a movie",
		Params: params([]Param{user, movie}, page[:1]), Reply: "Recommendation", shape: full, decode: (*decoder).explain,
	},
	{
		Method: http.MethodPost, Path: "/api/feedback", Kind: Feedback, Scope: Write, Summary: "Adds ratings and views; durable before the answer, and safe to repeat",
		Body: "FeedbackList", Reply: "RowAffected", decode: (*decoder).feedback,
	},
	{
		Method: http.MethodPut, Path: "/api/feedback", Kind: Feedback, Scope: Write, Summary: "The same as POST: of two ratings of a movie the newer one holds",
		Body: "FeedbackList", Reply: "RowAffected", decode: (*decoder).feedback,
	},
}

var ownRoutes = []*Route{
	{Method: http.MethodGet, Path: "/api/health/live", Summary: "Whether the server runs", Reply: "Health", Local: "live"},
	{Method: http.MethodGet, Path: "/api/health/ready", Summary: "Whether requests are answered: there is a model, and the catalog is read", Reply: "Health", Local: "ready"},
	{Method: http.MethodGet, Path: "/api/openapi.json", Summary: "This interface as an OpenAPI document", Reply: "Document", Local: "openapi"},
	{Method: http.MethodGet, Path: "/api/{$}", Summary: "This interface as a page to read", Reply: "Page", Local: "page"},
}
