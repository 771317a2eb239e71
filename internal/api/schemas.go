package api

import (
	"maps"
	"math"
)

func array(items object, most int) object {
	schema := object{"type": "array", "items": items}
	if most > 0 {
		schema["maxItems"] = most
	}
	return schema
}

func described(description string, schema object) object {
	schema["description"] = description
	return schema
}

// fields is the schema of an object. required names those that are always there.
func fields(description string, properties object, required ...string) object {
	schema := object{"type": "object", "description": description, "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

func stringOf(description string) object { return object{"type": "string", "description": description} }

// strict is the schema of an object without other fields.
func strict(schema object) object {
	schema["additionalProperties"] = false
	return schema
}

// oneOrMany is the schema of one of the items, or of a list of them.
func oneOrMany(items object, most int) object {
	list := array(items, most)
	list["minItems"] = 1
	return object{"anyOf": []object{list, items}}
}

// schemas are the bodies of requests and replies. What one may meet beyond them
// (fields that pass through) is not forbidden.
func schemas() object {
	anyID := object{"anyOf": []object{{"type": "integer", "minimum": 0, "maximum": int64(math.MaxInt64)}, {"type": "string", "pattern": "^[0-9]{1,19}$"}}}
	number, boolean := object{"type": "number"}, object{"type": "boolean"}
	texts := array(object{"type": "string"}, 0)
	whole := func(least, most int) object { return object{"type": "integer", "minimum": least, "maximum": most} }
	all := object{
		"Problem": fields("RFC 9457.", object{
			"type": stringOf(""), "title": stringOf(""), "status": whole(400, 599), "detail": stringOf("What is wrong, and what would mend it."),
			"request_id": stringOf(""),
		}, "type", "title", "status"),
		"RowAffected": fields("How many events are durable.", object{"RowAffected": whole(0, MaxEvents)}, "RowAffected"),
		"Ids":         described("Ids, the best first.", array(object{"type": "string"}, 0)),
		"Scores": described("Ids and scores, the best first.", array(fields("", object{
			"Id": object{"type": "string"}, "Score": number,
		}, "Id", "Score"), 0)),
		"Recommendation": fields("The reply as it travels on Kafka.", object{
			"request_id": stringOf(""), "kind": stringOf(""), "user_id": object{"type": "integer"},
			"items": array(fields("", object{
				"movie_id": object{"type": "integer"}, "user_id": object{"type": "integer"}, "score": number, "prediction": number,
				"title": object{"type": "string"}, "genres": texts,
			}), 0),
			"model_version": stringOf("The one version that made it."),
		}, "request_id", "items"),
		"Prediction": fields("The prediction as it travels on Kafka.", object{
			"request_id": stringOf(""), "user_id": object{"type": "integer"}, "movie_id": object{"type": "integer"},
			"prediction": described("In stars.", object{"type": "number"}), "model_version": stringOf("The one version that made it."),
			"requested_at": object{"type": "string", "format": "date-time"}, "predicted_at": object{"type": "string", "format": "date-time"},
			"cold":  described("Who is not known to the model: user, movie, both or none.", array(object{"type": "string"}, 2)),
			"title": object{"type": "string"}, "genres": texts,
		}, "request_id", "user_id", "movie_id", "prediction", "model_version", "cold"),
		"Predictions": described("In the order of the request.", array(reference("Prediction"), MaxPairs)),
		"Health": fields("How the server is.", object{
			"Ready": boolean, "ModelVersion": stringOf("The champion, or empty."), "Movies": object{"type": "integer", "description": "In the catalog."},
			"Problems": described("Why it is not ready.", array(object{"type": "string"}, 0)),
		}, "Ready", "Problems"),
	}
	maps.Copy(all, requestSchemas(anyID))
	maps.Copy(all, storedSchemas(anyID, texts))
	maps.Copy(all, modelSchemas(texts))
	return all
}

// storedSchemas are those of movies, users and feedback.
func storedSchemas(anyID, texts object) object {
	item := itemSchema(anyID)
	feedback := fields("What a user did, as Gorse has it.", object{
		"FeedbackType": stringOf("rate, tag or view."), "UserId": object{"type": "string"}, "ItemId": object{"type": "string"},
		"Value": described("Stars; 0 of what is no rating.", object{"type": "number"}), "Timestamp": stringOf("RFC 3339."), "Comment": stringOf("The tag."),
	}, "FeedbackType", "UserId", "ItemId", "Value", "Timestamp", "Comment")
	profile := profileSchema(anyID)
	return object{
		"Item":     item,
		"NewItem":  withID(item, "ItemId", "movie_id"),
		"ItemList": oneOrMany(reference("NewItem"), MaxEvents),
		"Items": fields("A page of movies.", object{
			"Cursor": stringOf("Where the next page begins; empty for none."), "Items": array(item, MaxN),
		}, "Cursor", "Items"),
		"Feedback":     array(feedback, 0),
		"OneFeedback":  feedback,
		"FeedbackPage": fields("A page of feedback.", object{"Cursor": stringOf("Where the next page begins; empty for none."), "Feedback": array(feedback, MaxN)}, "Cursor", "Feedback"),
		"KnownItems":   described("Ids of movies, in their order.", array(object{"type": "string"}, 0)),
		"User":         profile,
		"NewUser":      withID(profile, "UserId"),
		"UserList":     oneOrMany(reference("NewUser"), MaxEvents),
		"Users":        fields("A page of users.", object{"Cursor": stringOf("Where the next page begins; empty for none."), "Users": array(profile, MaxN)}, "Cursor", "Users"),
	}
}

// modelSchemas are those of versions and roles.
func modelSchemas(texts object) object {
	number, boolean := object{"type": "number"}, object{"type": "boolean"}
	return object{
		"RoleChanged": fields("What the log of promotions has now.", object{
			"changed": boolean, "what": stringOf("In words."), "promotion": object{"type": "object"},
		}, "changed", "what"),
		"Models": fields("All versions, oldest first.", object{
			"models": array(fields("", object{
				"version": stringOf(""), "created_at": object{"type": "string", "format": "date-time"}, "role": stringOf("champion, challenger:NAME, several with a comma, or empty."),
				"share": number, "rmse": number, "bias_rmse": number, "ratings": object{"type": "integer"}, "algorithm": stringOf(""), "simulated": boolean,
				"verdict": stringOf("What the gate said, in words."),
			}, "version", "role"), 0),
			"problems": described("Versions that cannot be read.", texts),
		}, "models"),
		"Model":    fields("The manifest of a version: parameters, data, metrics, and the gate's verdict.", object{"version": stringOf(""), "metrics": object{"type": "object"}, "gate": object{"type": "object"}}, "version"),
		"Compared": fields("Two manifests, and the parameters that differ.", object{"a": reference("Model"), "b": reference("Model"), "parameters": object{"type": "array"}}, "a", "b", "parameters"),
	}
}
