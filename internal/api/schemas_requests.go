package api

import (
	"maps"
	"math"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Bounds of bodies that messages have too.
const (
	longestGenre   = 100
	mostGenres     = 100
	longestID      = 256
	longestTitle   = 1000
	longestComment = 4 << 10
)

// orNull is the schema of a field that clients send as null where they leave it out.
func orNull(schema object) object {
	return object{"anyOf": []object{schema, {"type": "null"}}}
}

func nullable(properties object) object {
	all := object{}
	for name, schema := range properties {
		all[name] = orNull(schema.(object))
	}
	return all
}

func with(properties object, name string, schema object) object {
	properties[name] = schema
	return properties
}

// textOf is the schema of a text of at most so many characters.
func textOf(longest int, description string) object {
	return object{"type": "string", "maxLength": longest, "description": description}
}

var (
	genres = array(object{"type": "string", "pattern": `\S`, "maxLength": longestGenre}, mostGenres)
	// moment is the time of an event.
	moment = object{"description": "RFC 3339, or Unix seconds or (from 100000000000 on) milliseconds.", "anyOf": []object{
		{"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"},
	}}
	stars = object{"anyOf": []object{
		{"type": "number", "minimum": 0.5, "maximum": 5, "multipleOf": 0.5}, {"type": "string", "pattern": `^(0?\.50*|[1-4](\.[05]?0*)?|5(\.0*)?)$`},
	}}
	// given is what somebody calls a request or event.
	given = object{"anyOf": []object{{"type": "string", "maxLength": longestID}, {"type": "number"}, {"type": "null"}}}
)

// listFields are what requests for a list have in common, and more.
func listFields(anyID, more object) object {
	year := object{"type": "integer", "minimum": 1, "maximum": 9999}
	filters := strict(fields("Which movies.", nullable(object{
		"genres": genres, "not_genres": genres, "year_from": year, "year_to": year, "min_count": object{"type": "integer", "minimum": 0, "maximum": math.MaxInt32},
	})))
	common := nullable(object{
		"n":       object{"type": "integer", "minimum": 1, "maximum": MaxN, "description": "How many; 10 if not given."},
		"offset":  object{"type": "integer", "minimum": 0, "maximum": MaxOffset},
		"exclude": array(anyID, MaxList), "candidates": array(anyID, MaxList), "filters": filters,
	})
	maps.Copy(common, more)
	return common
}

// requestSchemas are bodies of requests that no reply has.
func requestSchemas(anyID object) object {
	some := func(most int) object {
		list := array(anyID, most)
		list["minItems"] = 1
		return list
	}
	none := object{"type": "null", "description": "Is for somebody without an id."}
	return object{
		"RecommendRequest": strict(fields("A request for movies.", listFields(anyID, object{
			"liked":  none,
			"rotate": orNull(described("Whether the movies of the user's last three rotated lists come behind all others; without offset.", object{"type": "boolean"})),
		}))),
		"AnonymousRequest": strict(fields("A request for movies for somebody who likes the given ones.", listFields(anyID, object{"liked": some(MaxList)}), "liked")),
		"GroupRequest":     strict(fields("A request for movies for several users.", listFields(anyID, object{"users": some(message.MaxUsers), "liked": none}), "users")),
		"EstimateRequest": oneOrMany(fields("A pair.", object{
			"request_id": described("Echoed in the reply.", maps.Clone(given)), "user_id": anyID, "movie_id": anyID,
		}, "user_id", "movie_id"), MaxPairs),
		"FeedbackList": oneOrMany(feedbackSchema(anyID), MaxEvents),
		"SessionFeedback": oneOrMany(fields("Feedback without a user. What was rated below 2.75 stars is left out of the list; the rest, of which there must be some, is liked.", object{
			"ItemId": anyID, "Value": object{},
		}, "ItemId"), MaxList),
		"Promotion": strict(fields("Which version gets which role.", with(nullable(object{
			"role": stringOf("champion, if not given, or challenger:NAME."), "share": described("Of the users, of a challenger; 0 is in shadow.", object{"type": "number", "minimum": 0, "maximum": 1}),
			"force": described("Overrules the gate.", object{"type": "boolean"}), "reason": textOf(longestTitle, "Why, for the log."),
		}), "version", described("Its name, or champion or challenger:NAME.", object{"type": "string", "minLength": 1})), "version")),
		"Rollback": strict(fields("Which version is rolled back.", nullable(object{
			"expected": stringOf("The version that is to be rolled back; whichever it is, if not given."), "reason": textOf(longestTitle, "Why, for the log."),
		}))),
		"Withdrawal": strict(fields("Which role is taken away.", with(nullable(object{"reason": textOf(longestTitle, "Why, for the log.")}), "role", stringOf("challenger:NAME.")), "role")),
	}
}

// feedbackSchema is that of one thing that a user did. A rating has stars.
func feedbackSchema(anyID object) object {
	gorse := func(description string, types []string, value object, required ...string) object {
		return fields(description, object{
			"FeedbackType": object{"type": "string", "enum": types}, "UserId": anyID, "ItemId": anyID, "Value": value,
			"Timestamp": described("RFC 3339 or Unix seconds; now if empty or not given.", object{"anyOf": []object{moment, {"type": "string", "maxLength": 0}, {"type": "null"}}}),
		}, append([]string{"FeedbackType", "UserId", "ItemId"}, required...)...)
	}
	event := func(description string, types []string, value object, required ...string) object {
		return fields(description, object{
			"event_id": given, "event_type": object{"type": "string", "enum": types},
			"user_id": anyID, "movie_id": anyID, "value": value, "timestamp": moment,
		}, append([]string{"event_type", "user_id", "movie_id", "timestamp"}, required...)...)
	}
	return object{"anyOf": []object{
		gorse("A rating, as Gorse has it.", []string{"rate", "rating"}, stars, "Value"),
		gorse("As Gorse has it.", []string{"view", "read", "click", "watch", "unrate"}, object{}),
		event("A rating, as it travels on Kafka.", []string{"rate"}, stars, "value"),
		event("A tag, as it travels on Kafka.", []string{"tag"}, object{"anyOf": []object{{"type": "string", "minLength": 1, "maxLength": longestTitle}, {"type": "number"}}}, "value"),
		event("An event, as it travels on Kafka.", []string{"view", "unrate"}, object{}),
	}}
}

// withID is a schema of which one of the given ids must be there.
func withID(schema object, ids ...string) object {
	schema = maps.Clone(schema)
	var one []object
	for _, id := range ids {
		one = append(one, object{"required": []string{id}, "properties": object{id: object{"not": object{"type": "null"}}}})
	}
	schema["anyOf"] = one
	return schema
}

func itemSchema(anyID object) object {
	boolean, comment := object{"type": "boolean"}, textOf(longestTitle, "The title.")
	titles := array(object{"type": "string", "minLength": 1, "maxLength": longestGenre}, mostGenres)
	return strict(fields("A movie, as Gorse has it, or with the names of an event of type item.", nullable(object{
		"ItemId": anyID, "IsHidden": boolean, "Categories": titles, "Labels": object{}, "Comment": comment,
		"Timestamp": stringOf("When the movie came in, RFC 3339; year 1 for MovieLens's own. Now if it is new and this is not given."),
		"movie_id":  anyID, "title": comment, "genres": titles, "hidden": boolean, "labels": object{},
		"imdb_id": textOf(longestID, ""), "tmdb_id": anyID, "added_at": object{"type": "string"},
		"timestamp": described("Event time; of two states of a movie the newer one holds. Now if not given.", maps.Clone(moment)),
		"event_id":  textOf(longestID, ""), "event_type": object{"type": "string", "enum": []string{"item"}},
	})))
}

func profileSchema(anyID object) object {
	return strict(fields("A user, as Gorse has it.", nullable(object{
		"UserId": anyID, "Labels": object{}, "Comment": textOf(longestComment, ""), "Subscribe": described("Has no effect.", object{}),
	})))
}
